import {
  canBeSubmitted,
  type StoredSample,
  type StoredSubmission,
  VALIDATION_AUTHORS,
} from './submission.ts';

/** What every document needs to know to make links. */
export interface Site {
  url: string;
  pageSize: number;
}

export function submissionDocument({ url }: Site, submission: StoredSubmission) {
  const { name, team, createdDate, lastModifiedDate } = submission;
  const inPath = encodeURIComponent(name);
  const self = `${url}/api/submissions/${inPath}`;
  return {
    name,
    team: { name: team },
    createdDate,
    lastModifiedDate,
    _links: {
      self: { href: `${self}{?projection}`, templated: true },
      submissionStatus: {
        href: `${url}/api/submissionStatuses/${inPath}{?projection}`,
        templated: true,
      },
      validationResults: {
        href: `${url}/api/validationResults/search/by-submission?submissionId=${inPath}{&page,size,sort}`,
        templated: true,
      },
      contents: { href: `${self}/contents` },
    },
  };
}

export function statusDocument({ url }: Site, { name, status }: StoredSubmission) {
  const self = `${url}/api/submissionStatuses/${encodeURIComponent(name)}`;
  return { status, _links: { self: { href: self } } };
}

export function availableStatusesDocument({ url }: Site, submission: StoredSubmission) {
  const self = `${url}/api/submissions/${encodeURIComponent(submission.name)}/availableSubmissionStatuses`;
  const statusDescriptions = [
    { statusName: 'Submitted', description: 'The submitter has finished with the submission.' },
  ];
  return {
    ...(canBeSubmitted(submission) && { _embedded: { statusDescriptions } }),
    _links: { self: { href: self } },
  };
}

export function validationResultsDocument(site: Site, submission: StoredSubmission, page: number) {
  const { url } = site;
  const self = `${url}/api/validationResults/search/by-submission?submissionId=${encodeURIComponent(submission.name)}`;
  const results = submission.samples.map((_sample, index) =>
    validationResultDocument(site, submission, index),
  );
  return pageDocument(site, 'validationResults', results, { page, self: `${self}&` });
}

export function validationResultDocument(
  { url }: Site,
  { name, samples, validated }: StoredSubmission,
  index: number,
) {
  const sample = samples[index];
  const found = validated && sample ? sample.errors : {};
  return {
    validationStatus: validated ? 'Complete' : 'Pending',
    errorMessages: Object.fromEntries(
      VALIDATION_AUTHORS.map((author) => [author, found[author] ?? []]),
    ),
    overallValidationOutcomeByAuthor: Object.fromEntries(
      VALIDATION_AUTHORS.map((author) => [author, outcomeOf(found[author], validated)]),
    ),
    _links: { self: { href: `${url}/api/validationResults/${encodeURIComponent(name)}/${index}` } },
  };
}

function outcomeOf(messages: string[] = [], validated: boolean): string {
  if (!validated) return 'Pending';
  return messages.length > 0 ? 'Error' : 'Pass';
}

export function samplesDocument(site: Site, submission: StoredSubmission, page: number) {
  const self = `${site.url}/api/submissions/${encodeURIComponent(submission.name)}/contents/samples`;
  const samples = submission.samples.map((sample, index) =>
    sampleDocument(site, submission, sample, index),
  );
  return pageDocument(site, 'samples', samples, { page, self: `${self}?` });
}

function sampleDocument(
  site: Site,
  submission: StoredSubmission,
  sample: StoredSample,
  index: number,
) {
  const { alias, title, taxonId, taxon, accession } = sample;
  const status = accession === undefined ? submission.status : 'Completed';
  // USI embeds results or links them: here by turns, so that both are read
  const embedded = index % 2 === 0;
  const place = `${encodeURIComponent(submission.name)}/${index}`;
  return {
    alias,
    title,
    taxonId,
    taxon,
    ...(accession !== undefined && { accession }),
    _embedded: {
      processingStatus: { status, alias, ...(accession !== undefined && { accession }) },
      ...(embedded && { validationResult: validationResultDocument(site, submission, index) }),
    },
    _links: {
      self: {
        href: `${site.url}/api/samples/${place}{?projection}`,
        templated: true,
      },
      validationResult: {
        href: `${site.url}/api/validationResults/${place}{?projection}`,
        templated: true,
      },
    },
  };
}

/** Spring's paged collection: without `_embedded` when it is empty, without `next` on the last page. */
function pageDocument(
  { pageSize }: Site,
  name: string,
  items: object[],
  { page, self }: { page: number; self: string },
) {
  const shown = items.slice(page * pageSize, (page + 1) * pageSize);
  const isLast = (page + 1) * pageSize >= items.length;
  const href = (number: number) => `${self}page=${number}&size=${pageSize}`;
  return {
    ...(shown.length > 0 && { _embedded: { [name]: shown } }),
    _links: {
      self: { href: href(page) },
      ...(!isLast && { next: { href: href(page + 1) } }),
    },
    page: {
      size: pageSize,
      totalElements: items.length,
      totalPages: Math.ceil(items.length / pageSize),
      number: page,
    },
  };
}
