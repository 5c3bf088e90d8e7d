import type { Doc, Entry, Export, Member } from './model.ts';

const INTRO = `# API

Made from the doc comments in \`src/\` by \`npm run docs\`: change them, not this page. The guides are [tasks](tasks.md),
[exclusive tasks](exclusive.md), [routines](routines.md), [mails](mail.md) and [running](running.md).`;

export function renderPage(entries: Entry[]): string {
  return [INTRO, entries.map(renderContents).join('\n'), ...entries.map(renderEntry)].join('\n\n');
}

function renderContents({ specifier, groups }: Entry): string {
  const lines = groups.map(({ title, items }) => {
    const links = items.map((item) => `[${item.name}](#${slug(item.title)})`).join(', ');
    return `  - ${title === undefined ? '' : `[${title}](#${slug(title)}): `}${links}`;
  });
  return [`- [${specifier}](#${slug(specifier)})`, ...lines].join('\n');
}

function renderEntry({ specifier, groups }: Entry): string {
  const parts = groups.flatMap(({ title, items }) => [
    ...(title === undefined ? [] : [`### ${title}`]),
    ...items.map(renderExport),
  ]);
  return [`## ${specifier}`, ...parts].join('\n\n');
}

function renderExport({ title, shape, doc, bases, members }: Export): string {
  const parts = [
    `#### ${title}`,
    `\`\`\`ts\n${shape}\n\`\`\``,
    doc.text,
    [...fallbackOf(doc), ...doc.lines].map((line) => `- ${sentence(line)}`).join('\n'),
    bases.length === 0 ? '' : `More members: ${bases.join(', ')}.`,
    members.map(renderMember).join('\n'),
  ];
  return parts.filter((part) => part !== '').join('\n\n');
}

function renderMember({ label, doc, members }: Member): string {
  const text = [doc.text, ...fallbackOf(doc)].filter((part) => part !== '').join(' ');
  const lines = [
    `- \`${label}\`${text === '' ? '' : ` – ${text}`}`,
    ...doc.lines.map((line) => `- ${sentence(line)}`),
    ...members.map(renderMember),
  ];
  return lines.join('\n').replaceAll('\n', '\n  ');
}

function fallbackOf({ fallback }: Doc): string[] {
  if (fallback === undefined) return [];
  // a literal is code, whatever follows it
  const shown = fallback.replace(/^('[^']*'|\[\]|\d+|true|false|null)(?!\S)|^'[^']*'(?=,)/, '`$&`');
  return [`Default: ${sentence(shown)}`];
}

/** With a full stop where it has no end; an indented line is code. */
export function sentence(text: string): string {
  const trimmed = text.trimEnd();
  return trimmed === '' || /[.:?!]$|\n {4}.*$/.test(trimmed) ? trimmed : `${trimmed}.`;
}

/** Angle brackets outside code would be HTML. */
export function withoutTags(text: string): string {
  return text.replaceAll(/`[^`]*`|</g, (found) => (found === '<' ? '\\<' : found));
}

/** The anchor that GitHub gives to a heading. */
export function slug(title: string): string {
  return title
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');
}
