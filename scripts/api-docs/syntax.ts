// What the compiler's syntax tree says of one declaration.
import { SyntaxKind } from 'typescript/unstable/ast';
import type * as ast from 'typescript/unstable/ast';
import * as is from 'typescript/unstable/ast/is';
import type { Symbol as ExportedSymbol } from 'typescript/unstable/sync';

export type HasMembers = ast.ClassDeclaration | ast.InterfaceDeclaration;
export type Callable = Pick<ast.FunctionDeclaration, 'typeParameters' | 'parameters' | 'type'> &
  ast.Node;

export function firstOf({ declarations, name }: ExportedSymbol): ast.Node {
  const node = declarations[0]?.resolve();
  if (!node) throw new Error(`${name}: expected a declaration`);
  return node;
}

export function hasMembers(node: ast.Node): node is HasMembers {
  return is.isClassDeclaration(node) || is.isInterfaceDeclaration(node);
}

/** Whether it is for users; `@internal` is what other files of the package need. */
export function isPublic(node: ast.Node): boolean {
  const name = nameNode(node);
  if (name && is.isPrivateIdentifier(name)) return false;
  if (commentOf(node)?.tags?.some(({ tagName }) => tagName.getText() === 'internal')) return false;
  return !has(node, SyntaxKind.PrivateKeyword) && !has(node, SyntaxKind.ProtectedKeyword);
}

export function isOptional(node: ast.Node): boolean {
  const mark = 'postfixToken' in node ? (node.postfixToken as ast.Node | undefined) : undefined;
  return mark?.kind === SyntaxKind.QuestionToken;
}

export function isDerived(node: ast.Node): boolean {
  if (!hasMembers(node)) return false;
  return node.heritageClauses?.some(({ token }) => token === SyntaxKind.ExtendsKeyword) ?? false;
}

export function basesOf(node: ast.Node): ast.ExpressionWithTypeArguments[] {
  return hasMembers(node) ? (node.heritageClauses?.flatMap(({ types }) => [...types]) ?? []) : [];
}

export function keyword(node: ast.Node): string {
  if (is.isClassDeclaration(node)) return 'class';
  if (is.isInterfaceDeclaration(node)) return 'interface';
  if (is.isTypeAliasDeclaration(node)) return 'type';
  return is.isFunctionDeclaration(node) ? 'function' : 'const';
}

export function nameOf(node: ast.Node): string {
  if (is.isConstructorDeclaration(node)) return 'constructor';
  return nameNode(node)?.getText() ?? SyntaxKind[node.kind];
}

export function nameNode(node: ast.Node): ast.Node | undefined {
  return 'name' in node ? (node.name as ast.Node | undefined) : undefined;
}

export function has(node: ast.Node, modifier: SyntaxKind): boolean {
  const modifiers = 'modifiers' in node ? (node.modifiers as ast.Node[] | undefined) : undefined;
  return modifiers?.some(({ kind }) => kind === modifier) ?? false;
}

/** Those of the modifiers that a declaration has, as it is written. */
export function words(node: ast.Node, ...modifiers: SyntaxKind[]): string {
  const own = 'modifiers' in node ? ((node.modifiers as ast.Node[] | undefined) ?? []) : [];
  return own
    .filter(({ kind }) => modifiers.includes(kind))
    .map((modifier) => `${modifier.getText()} `)
    .join('');
}

/** As a caller sees it: a pattern has no name, an underscore only means that the code does not use it. */
export function parameterName(node: ast.ParameterDeclaration): string {
  const name = is.isIdentifier(node.name) ? node.name.text.replace(/^_/, '') : 'options';
  const rest = node.dotDotDotToken ? '...' : '';
  return `${rest}${name}${node.questionToken || node.initializer ? '?' : ''}`;
}

export function parameterNames({ parameters }: Pick<Callable, 'parameters'>): string {
  const names = parameters.map(parameterName);
  return names.filter((name) => name !== 'this').join(', ');
}

export function contains(node: ast.Node, kind: SyntaxKind): boolean {
  return (
    node.kind === kind || node.forEachChild((child) => contains(child, kind) || undefined) === true
  );
}

/** The doc comment of a declaration; that of a variable or an assignment stands at its statement. */
export function commentOf(node: ast.Node): ast.JSDoc | undefined {
  let holder = node;
  if (is.isVariableDeclaration(node)) holder = node.parent.parent;
  if (is.isBinaryExpression(node)) holder = node.parent;
  return holder.jsDoc?.filter(is.isJSDoc).at(-1);
}

export function commentAbove(file: ast.SourceFile, node: ast.Node): string | undefined {
  const trivia = file.text.slice(node.pos, node.getStart());
  const lines = [...trivia.matchAll(/^\/\/ (.+)$/gm)].map(([, line = '']) => line);
  const text = lines.join(' ');
  return text === '' ? undefined : text[0]?.toUpperCase() + text.slice(1);
}

export function unreadable(node: ast.Node, what: string): Error {
  return new Error(`${what}: expected what the page can show, got ${SyntaxKind[node.kind]}`);
}
