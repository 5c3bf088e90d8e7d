import { z } from 'zod';
import { UsiDataError } from './errors.ts';

// Fields that USI adds are dropped and ones that it leaves out forgiven, as far as the task can do without them.

const LONGEST_LINK = 4_000;
const MOST_PROBLEMS = 5;

const link = z.object({ href: z.string().min(1).max(LONGEST_LINK) });

/** What PostgreSQL can store: it takes neither the NUL character nor half of a surrogate pair. */
const text = z.string().transform((value) => value.replace(/[\0\p{Cs}]/gu, '\uFFFD'));

const absentAsUndefined = <Shape extends z.ZodType>(shape: Shape) =>
  shape.nullish().transform((value) => value ?? undefined);

/** `2018-07-16T07:54:32.251+0000`: ISO but for the zone's missing colon, which `Date` may refuse. */
const usiDate = z.string().transform((text, context) => {
  const date = new Date(text.replace(/([+-]\d{2})(\d{2})$/, '$1:$2'));
  if (!Number.isNaN(date.getTime())) return date;
  context.issues.push({
    code: 'custom',
    input: text,
    message: "expected a date such as '2018-07-16T07:54:32.251+0000'",
  });
  return z.NEVER;
});

export const statusShape = z.object({ status: text });

export const submissionShape = z.object({
  // the status itself, or a document that has it
  submissionStatus: absentAsUndefined(
    z.union([text, statusShape.transform(({ status }) => status)]),
  ),
  createdDate: absentAsUndefined(usiDate),
  lastModifiedDate: absentAsUndefined(usiDate),
  _links: absentAsUndefined(
    z.object({
      self: absentAsUndefined(link),
      submissionStatus: absentAsUndefined(link),
      validationResults: absentAsUndefined(link),
    }),
  ),
});

/** One outcome per author: Core, Taxonomy, Ena, Biosamples, JsonSchema. */
export const validationResultShape = z.object({
  validationStatus: text,
  errorMessages: z
    .record(
      text,
      z
        .array(text)
        .nullable()
        .transform((list) => list ?? []),
    )
    .nullish()
    .transform((messages) => messages ?? {}),
  overallValidationOutcomeByAuthor: z
    .record(text, text)
    .nullish()
    .transform((outcomes) => outcomes ?? {}),
});

export type UsiValidationResult = z.infer<typeof validationResultShape>;

export const sampleShape = z.object({
  alias: text,
  title: absentAsUndefined(text),
  accession: absentAsUndefined(text),
  _embedded: absentAsUndefined(z.object({ validationResult: z.unknown().optional() })),
  _links: absentAsUndefined(z.object({ validationResult: absentAsUndefined(link) })),
});

export const statusDescriptionShape = z.object({ statusName: text });

/** A page of a collection: the items under their name, and the way to the next one. */
export function pageShape<Item extends z.ZodType>(name: string, item: Item) {
  return z
    .object({
      _embedded: absentAsUndefined(z.record(z.string(), z.unknown())),
      _links: absentAsUndefined(z.object({ next: absentAsUndefined(link) })),
    })
    .transform((page): unknown => ({
      items: page._embedded?.[name] ?? [],
      next: page._links?.next?.href,
    }))
    .pipe(z.object({ items: z.array(item), next: link.shape.href.optional() }));
}

/**
 * `answer` as `shape` says it.
 *
 * @param what names the answer in the error, for example `"the samples of submission 'x'"`.
 * @throws {UsiDataError} with the places of what is wrong: the first few, because a page has many items.
 */
export function readAs<Shape extends z.ZodType>(
  shape: Shape,
  answer: unknown,
  what: string,
): z.output<Shape> {
  const read = shape.safeParse(answer);
  if (read.success) return read.data;
  const { issues } = read.error;
  const problems = issues
    .slice(0, MOST_PROBLEMS)
    .map(({ path, message }) => `${path.length > 0 ? path.join('.') : 'as a whole'}: ${message}`);
  if (issues.length > MOST_PROBLEMS) problems.push(`${issues.length - MOST_PROBLEMS} more`);
  throw new UsiDataError(`USI answered ${what} in an unknown shape: ${problems.join('; ')}`);
}
