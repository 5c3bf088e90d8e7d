import type { UsiValidationResult } from '../usi/shapes.ts';

/** The messages of each author (Core, Taxonomy, Ena, Biosamples, JsonSchema) that found errors. */
export type AuthorErrors = Record<string, string[]>;

/** The errors of a validation result, without the authors that found none; undefined when nobody did. */
export function collectErrors({
  errorMessages,
  overallValidationOutcomeByAuthor,
}: UsiValidationResult): AuthorErrors | undefined {
  const errors = new Map<string, string[]>();
  for (const [author, messages] of Object.entries(errorMessages)) {
    if (messages.length > 0) errors.set(author, messages);
  }
  for (const [author, outcome] of Object.entries(overallValidationOutcomeByAuthor)) {
    // the owner has to see who objects, even if not why
    if (outcome === 'Error' && !errors.has(author)) errors.set(author, ['USI gives no message']);
  }
  return errors.size > 0 ? Object.fromEntries(errors) : undefined;
}

/** One line per author, as a validation result keeps them: `Ena: first, second`. */
export function formatErrors(errors: AuthorErrors): string[] {
  return Object.entries(errors).map(([author, messages]) => `${author}: ${messages.join(', ')}`);
}
