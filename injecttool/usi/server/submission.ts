import { z } from 'zod';

/** One animal or sample as it was submitted, with what the validation finds in it. */
const storedSample = z.object({
  alias: z.string(),
  title: z.string(),
  taxonId: z.number(),
  taxon: z.string(),
  /** Messages by author; empty when it is valid. */
  errors: z.record(z.string(), z.array(z.string())),
  accession: z.string().optional(),
});

export const storedSubmission = z.object({
  name: z.string(),
  team: z.string(),
  status: z.enum(['Draft', 'Submitted', 'Processing', 'Completed']),
  validated: z.boolean(),
  createdDate: z.string(),
  lastModifiedDate: z.string(),
  samples: z.array(storedSample),
});

export type StoredSample = z.infer<typeof storedSample>;
export type StoredSubmission = z.infer<typeof storedSubmission>;

export const VALIDATION_AUTHORS = ['Core', 'Taxonomy', 'Ena', 'Biosamples', 'JsonSchema'] as const;

/** Hands out a new BioSamples accession. */
export type NextAccession = () => string;

// A submission moves by being looked at, never by time: whoever polls sees each state once.

/** To be called when its validation results have been read to the end: the next reader finds them complete. */
export function advanceValidation(submission: StoredSubmission, at: Date): boolean {
  if (submission.validated) return false;
  submission.validated = true;
  submission.lastModifiedDate = formatDate(at);
  return true;
}

/** To be called when its status has been read: after Submitted comes Processing, then Completed. */
export function advanceStatus(
  submission: StoredSubmission,
  at: Date,
  nextAccession: NextAccession,
): boolean {
  switch (submission.status) {
    case 'Draft':
    case 'Completed':
      return false;
    case 'Submitted':
      submission.status = 'Processing';
      break;
    case 'Processing':
      submission.status = 'Completed';
      for (const sample of submission.samples) sample.accession ??= nextAccession();
      break;
  }
  submission.lastModifiedDate = formatDate(at);
  return true;
}

/** Whether USI would take it now: all is validated, and nothing is wrong. */
export function canBeSubmitted({ status, validated, samples }: StoredSubmission): boolean {
  return status === 'Draft' && validated && !samples.some(hasErrors);
}

export function submit(submission: StoredSubmission, at: Date): void {
  submission.status = 'Submitted';
  submission.lastModifiedDate = formatDate(at);
}

export function hasErrors({ errors }: StoredSample): boolean {
  return Object.values(errors).some((messages) => messages.length > 0);
}

/** As USI writes dates: `2018-07-16T07:54:32.251+0000`. */
export function formatDate(date: Date): string {
  return date.toISOString().replace('Z', '+0000');
}
