import { SyntaxKind } from 'typescript/unstable/ast';
import type * as ast from 'typescript/unstable/ast';
import * as is from 'typescript/unstable/ast/is';
import { NodeBuilderFlags, SymbolFlags } from 'typescript/unstable/sync';
import type { Project, Symbol as ExportedSymbol } from 'typescript/unstable/sync';
import type { Doc, Entry, Export, Group, Member, Named } from './model.ts';
import { sentence, slug, withoutTags } from './page.ts';
import {
  type Callable,
  type HasMembers,
  basesOf,
  commentAbove,
  commentOf,
  contains,
  firstOf,
  has,
  hasMembers,
  isDerived,
  isOptional,
  isPublic,
  keyword,
  nameNode,
  nameOf,
  parameterName,
  parameterNames,
  unreadable,
  words,
} from './syntax.ts';

/** Reads what is exported. What is missing is in `problems` afterwards, a line each. */
export class Reader {
  readonly problems: string[] = [];
  readonly #project: Project;
  readonly #titles = new Map<string, string>();

  constructor(project: Project) {
    this.#project = project;
  }

  read(files: Map<string, string>): Entry[] {
    const found = [...files].map(([specifier, file]) => ({
      specifier,
      groups: this.#groups(file),
    }));
    for (const { name, symbol } of found.flatMap(({ groups }) => groups).flatMap(itemsOf)) {
      if (this.#titles.has(name)) throw new Error(`${name}: two entries of the package export it`);
      this.#titles.set(name, `${keyword(firstOf(symbol))} ${name}`);
    }
    return found.map(({ specifier, groups }) => ({
      specifier,
      groups: groups.map(({ title, items }) => ({
        title,
        items: items.map((named) => this.#export(named)),
      })),
    }));
  }

  /** The exports in the order of their source. */
  #groups(path: string): Group<Named>[] {
    const { checker, program } = this.#project;
    const file = program.getSourceFile(path);
    const module = file && checker.getSymbolAtLocation(file);
    if (!module) throw new Error(`${path}: expected a module of the project`);
    const symbols = new Map(checker.getExportsOfModule(module).map((one) => [one.name, one]));
    const groups: Group<Named>[] = [];
    for (const statement of file.statements) {
      const title = is.isExportDeclaration(statement) ? commentAbove(file, statement) : undefined;
      if (groups.length === 0 || title !== undefined) groups.push({ title, items: [] });
      for (const name of this.#namesOf(statement)) {
        const symbol = this.#target(symbols.get(name));
        if (symbol && isPublic(firstOf(symbol))) groups.at(-1)?.items.push({ name, symbol });
        symbols.delete(name);
      }
    }
    if (symbols.size === 0) return groups.filter(({ items }) => items.length > 0);
    throw new Error(`${path}: exported in a way that is not read: ${[...symbols.keys()].join()}`);
  }

  /** The names that a statement exports. */
  #namesOf(statement: ast.Statement): string[] {
    if (is.isExportDeclaration(statement)) {
      const { exportClause, moduleSpecifier } = statement;
      if (exportClause && is.isNamedExports(exportClause)) {
        return exportClause.elements.map(({ name }) => name.getText());
      }
      const module = moduleSpecifier && this.#project.checker.getSymbolAtLocation(moduleSpecifier);
      return module ? this.#project.checker.getExportsOfModule(module).map(({ name }) => name) : [];
    }
    if (!has(statement, SyntaxKind.ExportKeyword)) return [];
    if (is.isVariableStatement(statement)) {
      return statement.declarationList.declarations.map(({ name }) => name.getText());
    }
    return [nameOf(statement)];
  }

  #target(symbol: ExportedSymbol | undefined): ExportedSymbol | undefined {
    const isAlias = symbol && (symbol.flags & SymbolFlags.Alias) !== 0;
    return isAlias ? this.#project.checker.getAliasedSymbol(symbol) : symbol;
  }

  #export({ name, symbol }: Named): Export {
    const node = firstOf(symbol);
    if (symbol.declarations.length > 1) throw unreadable(node, `${name}, declared more than once`);
    const doc = this.#doc(node, name);
    this.#expectText(doc, name);
    const members = this.#membersOf(node, symbol, name).filter(isShown);
    const bases = basesOf(node).map(({ expression }) => expression.getText());
    return {
      name,
      title: `${keyword(node)} ${name}`,
      shape: this.#shape(node, name, members),
      bases: bases.filter((base) => this.#titles.has(base)).map((base) => this.#link(base)),
      doc,
      members,
    };
  }

  // --- declarations as code ---

  #shape(node: ast.Node, name: string, members: Member[]): string {
    const inside = members.map(({ shape }) => shape).join('\n');
    if (hasMembers(node)) {
      const head = `${words(node, SyntaxKind.AbstractKeyword)}${keyword(node)} ${name}`;
      const clauses = node.heritageClauses?.map((clause) => ` ${this.#print(clause)}`) ?? [];
      return `${head}${this.#generics(node)}${clauses.join('')} {\n${inside}\n}`;
    }
    if (is.isTypeAliasDeclaration(node)) {
      // a constant that is not exported says nothing to a reader
      const spelled = contains(node.type, SyntaxKind.TypeQuery);
      const type = spelled
        ? this.#inferred(node, NodeBuilderFlags.InTypeAlias)
        : this.#print(node.type);
      return `type ${name}${this.#generics(node)} = ${type};`;
    }
    if (is.isVariableDeclaration(node)) return `const ${name}: ${this.#typeOf(node)};`;
    if (!is.isFunctionDeclaration(node)) throw unreadable(node, name);
    const own = `function ${name}${this.#signature(node)};`;
    return members.length === 0 ? own : `${own}\nnamespace ${name} {\n${inside}\n}`;
  }

  #generics({ typeParameters }: { typeParameters?: ast.NodeArray<ast.Node> }): string {
    if (!typeParameters) return '';
    return `<${typeParameters.map((parameter) => this.#print(parameter)).join(', ')}>`;
  }

  #signature(node: Callable): string {
    return `${this.#generics(node)}(${this.#parameters(node)}): ${this.#returned(node)}`;
  }

  #parameters({ parameters }: Pick<Callable, 'parameters'>): string {
    return parameters.map((one) => `${parameterName(one)}: ${this.#typeOf(one)}`).join(', ');
  }

  #returned(node: Callable): string {
    if (node.type) return this.#print(node.type);
    const { checker } = this.#project;
    const signature = checker.getSignatureFromDeclaration(node);
    const type = signature && checker.getReturnTypeOfSignature(signature);
    if (!type) throw unreadable(node, 'a result');
    return checker.typeToString(type, undefined, NodeBuilderFlags.NoTruncation);
  }

  #typeOf(node: ast.Node & { type?: ast.TypeNode }): string {
    return node.type ? this.#print(node.type) : this.#inferred(node);
  }

  #inferred(node: ast.Node, flags = NodeBuilderFlags.None): string {
    const { checker } = this.#project;
    const type = checker.getTypeAtLocation(node);
    if (!type) throw unreadable(node, 'a type');
    return checker.typeToString(type, undefined, flags | NodeBuilderFlags.NoTruncation);
  }

  /** The code of a node without comments. */
  #print(node: ast.Node): string {
    return this.#project.emitter.printNode(node);
  }

  // --- members ---

  #membersOf(node: ast.Node, symbol: ExportedSymbol, owner: string): Member[] {
    if (hasMembers(node)) return this.#members(node.members, owner, this.#baseMembers(node));
    if (is.isTypeAliasDeclaration(node)) return this.#optionsIn(node.type, owner);
    if (!is.isFunctionDeclaration(node)) return [];
    const attached = [...symbol.getExports().values()].filter((one) => isPublic(firstOf(one)));
    return attached.map((one) => this.#attached(one, owner));
  }

  /** The options of a type that is written in place. */
  #optionsIn(type: ast.TypeNode | undefined, owner: string): Member[] {
    return type && is.isTypeLiteralNode(type) ? this.#members(type.members, owner, []) : [];
  }

  #members(nodes: readonly ast.Node[], owner: string, bases: readonly ExportedSymbol[]): Member[] {
    return nodes.filter(isPublic).map((node) => this.#member(node, owner, bases));
  }

  #member(node: ast.Node, owner: string, bases: readonly ExportedSymbol[]): Member {
    const path = `${owner}.${nameOf(node)}`;
    const doc = this.#doc(node, path);
    const inherited = this.#isInherited(node, bases);
    if (!inherited) this.#expectText(doc, path);
    return { ...this.#code(node, path), inherited, doc };
  }

  #code(node: ast.Node, path: string): Pick<Member, 'label' | 'shape' | 'members'> {
    const name = nameOf(node);
    if (is.isConstructorDeclaration(node)) {
      const label = `new ${path.replace('.constructor', '')}(${parameterNames(node)})`;
      return { label, shape: `constructor(${this.#parameters(node)});`, members: [] };
    }
    const before = words(node, SyntaxKind.StaticKeyword, SyntaxKind.AbstractKeyword);
    const key = isOptional(node) ? `${name}?` : name;
    if (is.isMethodDeclaration(node) || is.isMethodSignatureDeclaration(node)) {
      const shape = `${before}${key}${this.#signature(node)};`;
      return { label: `${name}(${parameterNames(node)})`, shape, members: [] };
    }
    if (is.isGetAccessorDeclaration(node)) {
      const label = `${name}: ${this.#returned(node)}`;
      return { label, shape: `${before}readonly ${label};`, members: [] };
    }
    if (!is.isPropertyDeclaration(node) && !is.isPropertySignatureDeclaration(node)) {
      throw unreadable(node, path);
    }
    const members = this.#optionsIn(node.type, path);
    const type = this.#typeOf(node);
    return {
      label: `${key}: ${members.length === 0 ? type.replaceAll(/\s+/g, ' ') : '{ … }'}`,
      shape: `${before}${words(node, SyntaxKind.ReadonlyKeyword)}${key}: ${type};`,
      members,
    };
  }

  /** A function that is a property of a function, as `crontab.parse`. */
  #attached(symbol: ExportedSymbol, owner: string): Member {
    const node = firstOf(symbol);
    const path = `${owner}.${symbol.name}`;
    if (!is.isBinaryExpression(node) || !is.isFunctionExpression(node.right)) {
      throw unreadable(node, path);
    }
    const doc = this.#doc(node, path);
    this.#expectText(doc, path);
    return {
      label: `${path}(${parameterNames(node.right)})`,
      shape: `function ${symbol.name}${this.#signature(node.right)};`,
      inherited: false,
      doc,
      members: [],
    };
  }

  #baseMembers(node: HasMembers): ExportedSymbol[] {
    const { checker } = this.#project;
    return basesOf(node).flatMap((base) => {
      const type = checker.getTypeAtLocation(base);
      return type ? checker.getPropertiesOfType(type) : [];
    });
  }

  /**
   * Whether a base declares the member too, and says there what it is. A derived class's constructor is its base's with
   * the fields that the class adds.
   */
  #isInherited(node: ast.Node, bases: readonly ExportedSymbol[]): boolean {
    if (is.isConstructorDeclaration(node)) return isDerived(node.parent);
    const own = this.#project.checker.getSymbolAtLocation(nameNode(node) ?? node);
    const base = bases.find(({ escapedName }) => escapedName === own?.escapedName);
    return base !== undefined && this.#isExplained(firstOf(base));
  }

  #isExplained(node: ast.Node): boolean {
    if (commentOf(node) !== undefined || !this.#isOurs(node.getSourceFile())) return true;
    return hasMembers(node.parent) && this.#isInherited(node, this.#baseMembers(node.parent));
  }

  #isOurs(file: ast.SourceFile): boolean {
    const { program } = this.#project;
    return (
      !program.isSourceFileDefaultLibrary(file) && !program.isSourceFileFromExternalLibrary(file)
    );
  }

  // --- doc comments ---

  #expectText({ text }: Doc, path: string): void {
    if (text === '') this.problems.push(`${path}: no doc comment says what it is`);
  }

  #doc(node: ast.Node, path: string): Doc {
    const doc: Doc = { text: '', fallback: undefined, lines: [] };
    const comment = commentOf(node);
    doc.text = sentence(this.#markdown(comment?.comment, path));
    for (const tag of comment?.tags ?? []) this.#addTag(doc, tag, path);
    return doc;
  }

  #addTag(doc: Doc, tag: ast.JSDocTag, path: string): void {
    const text = this.#markdown(tag.comment, path).replaceAll(/\s+/g, ' ');
    const name = tag.tagName.getText();
    if (is.isJSDocParameterTag(tag)) doc.lines.push(`\`${tag.name.getText()}\`: ${text}`);
    else if (is.isJSDocThrowsTag(tag)) {
      const type = tag.typeExpression?.getText().replaceAll(/[{}]/g, '');
      doc.lines.push(`Throws ${type === undefined ? '' : `${this.#link(type)} `}${text}`);
    } else if (name === 'returns') doc.lines.push(`Returns ${text}`);
    else if (name === 'default') doc.fallback = text;
    else this.problems.push(`${path}: the page does not show @${name}`);
  }

  #markdown(parts: readonly ast.JSDocComment[] = [], path: string): string {
    const texts = parts.map((part) =>
      is.isJSDocLink(part) ? this.#reference(part, path) : part.text,
    );
    return withoutTags(texts.join('').trim());
  }

  /** A link to an export. A member is only named: its owner is near. */
  #reference({ name }: ast.JSDocLink, path: string): string {
    const target = name?.getText() ?? '';
    const [owner = ''] = target.split('.');
    if (this.#titles.has(owner)) return this.#link(owner, target);
    const known = name && this.#project.checker.getSymbolAtLocation(name);
    // a class or a type that is not exported has no place on the page
    if (!known || /^[A-Z]/.test(owner))
      this.problems.push(`${path}: {@link ${target}} leads nowhere`);
    return `\`${target}\``;
  }

  #link(name: string, text = name): string {
    const title = this.#titles.get(name);
    return title === undefined ? `\`${text}\`` : `[\`${text}\`](#${slug(title)})`;
  }
}

function itemsOf<Item>({ items }: Group<Item>): Item[] {
  return items;
}

function isShown({ inherited, doc }: Member): boolean {
  return !inherited || doc.text !== '';
}
