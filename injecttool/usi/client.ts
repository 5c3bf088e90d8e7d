import { ConfigError } from 'sedano';
import { createApi, cutTemplate, type UsiApi } from './api.ts';
import { UnknownSubmissionError, UsiDataError } from './errors.ts';
import type { Limits } from './http.ts';
import { readPages } from './pages.ts';
import {
  readAs,
  sampleShape,
  statusDescriptionShape,
  statusShape,
  submissionShape,
  type UsiValidationResult,
  validationResultShape,
} from './shapes.ts';
import { createTokenSource, type UsiAccount } from './token.ts';

const DEFAULT_TIMEOUT_MS = 30_000; // 30s
const DEFAULT_MAX_BYTES = 10 * 1024 * 1024; // 10 MB: a page of samples has some 100 kB
const DEFAULT_MAX_PAGES = 1_000;

export interface UsiClientOptions {
  /** Root of the USI API. */
  url: string;
  /** Root of EBI's token service. */
  authUrl: string;
  account: UsiAccount;
  /** How long one request may take, its answer included. @default 30_000 */
  timeoutMs?: number;
  /** How large one answer may be. @default 10_485_760 */
  maxBytes?: number;
  /** How many pages a collection may have. @default 1_000 */
  maxPages?: number;
  /** The clock by which tokens grow old. */
  now?: () => Date;
}

export interface UsiSubmission {
  name: string;
  /** `Draft`, `Submitted`, `Processing`, `Completed`; USI may invent others. */
  status: string;
  createdAt: Date | undefined;
  modifiedAt: Date | undefined;
  links: { self: string; status: string | undefined; validationResults: string | undefined };
}

export interface UsiSample {
  alias: string;
  title: string | undefined;
  /** Given when the submission is Completed. */
  accession: string | undefined;
  /** As embedded, unchecked; {@link UsiClient.validationResult} reads it. */
  embeddedResult: unknown;
  resultLink: string | undefined;
}

/**
 * The part of USI that watching submissions needs. Every function throws {@link UsiConnectionError} when USI
 * cannot be reached, is too slow or fails, and {@link UsiDataError} when it refuses or cannot be understood.
 */
export interface UsiClient {
  /** @throws {UnknownSubmissionError} when USI does not know the name. */
  submission(name: string): Promise<UsiSubmission>;
  validationResults(submission: UsiSubmission): AsyncIterable<UsiValidationResult>;
  samples(submission: UsiSubmission): AsyncIterable<UsiSample>;
  /** The validation result of one sample, embedded or behind its link; undefined when it has none. */
  validationResult(sample: UsiSample): Promise<UsiValidationResult | undefined>;
  /** The statuses that USI lets the submission go to now. */
  availableStatuses(submission: UsiSubmission): Promise<string[]>;
  /** Hands the submission over to BioSamples; false when USI does not offer that now. */
  finalize(submission: UsiSubmission): Promise<boolean>;
}

/** @throws {ConfigError} when one of the two roots is not the address of a web server. */
export function createUsiClient(options: UsiClientOptions): UsiClient {
  const limits: Limits = {
    timeoutMs: options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
    maxBytes: options.maxBytes ?? DEFAULT_MAX_BYTES,
  };
  const root = readRoot(options.url, 'USI_URL');
  const tokens = createTokenSource({
    authUrl: readRoot(options.authUrl, 'USI_AUTH_URL'),
    account: options.account,
    limits,
    now: options.now ?? (() => new Date()),
  });
  const api = createApi({ root, tokens, limits });
  const submissionsPath = `${root.pathname.replace(/\/+$/, '')}/api/submissions`;
  const maxPages = options.maxPages ?? DEFAULT_MAX_PAGES;
  const pathOf = (name: string) => `${submissionsPath}/${encodeName(name)}`;

  const client: UsiClient = {
    submission: async (name) => await readSubmission(api, name, pathOf(name)),
    async *validationResults({ name, links }) {
      if (links.validationResults === undefined) return;
      const what = `the validation results of submission '${name}'`;
      const pages = { first: links.validationResults, name: 'validationResults', what, maxPages };
      yield* readPages(api, validationResultShape, pages);
    },
    async *samples({ name, links }) {
      const what = `the samples of submission '${name}'`;
      const pages = { first: `${links.self}/contents/samples`, name: 'samples', what, maxPages };
      for await (const sample of readPages(api, sampleShape, pages)) {
        yield {
          alias: sample.alias,
          title: sample.title,
          accession: sample.accession,
          embeddedResult: sample._embedded?.validationResult,
          resultLink: sample._links?.validationResult?.href,
        };
      }
    },
    validationResult: (sample) => readSampleResult(api, sample),
    async availableStatuses({ name }) {
      const first = `${pathOf(name)}/availableSubmissionStatuses`;
      const what = `the available statuses of submission '${name}'`;
      const pages = { first, name: 'statusDescriptions', what, maxPages };
      const names: string[] = [];
      for await (const { statusName } of readPages(api, statusDescriptionShape, pages)) {
        names.push(statusName);
      }
      return names;
    },
    async finalize(submission) {
      const available = await client.availableStatuses(submission);
      if (!available.includes('Submitted')) return false;
      if (submission.links.status === undefined) {
        throw new UsiDataError(`USI gave no link to the status of submission '${submission.name}'`);
      }
      await api.put(submission.links.status, { status: 'Submitted' });
      return true;
    },
  };
  return client;
}

async function readSubmission(api: UsiApi, name: string, path: string): Promise<UsiSubmission> {
  const answer = await getKnown(api, name, path);
  const document = readAs(submissionShape, answer, `submission '${name}'`);
  const { self, submissionStatus, validationResults } = document._links ?? {};
  return {
    name,
    status: document.submissionStatus ?? (await readStatus(api, name, submissionStatus?.href)),
    createdAt: document.createdDate,
    modifiedAt: document.lastModifiedDate,
    links: {
      self: readPath(self?.href ?? path),
      status: submissionStatus?.href,
      validationResults: validationResults?.href,
    },
  };
}

/** A link to which something can be appended: without template, query and fragment. */
function readPath(href: string): string {
  return cutTemplate(href)
    .replace(/[?#].*$/s, '')
    .replace(/\/+$/, '');
}

/** @throws {UsiDataError} when no address can hold `name`: '..' would lead to another place, however it is encoded. */
function encodeName(name: string): string {
  if (['', '.', '..'].includes(name) || /\p{Cs}/u.test(name)) {
    throw new UsiDataError(`'${name}' cannot be the name of a submission at USI`);
  }
  return encodeURIComponent(name);
}

async function getKnown(api: UsiApi, name: string, path: string): Promise<unknown> {
  try {
    return await api.get(path);
  } catch (error) {
    const unknown = error instanceof UsiDataError && error.httpStatus === 404;
    throw unknown ? new UnknownSubmissionError(name) : error;
  }
}

async function readStatus(api: UsiApi, name: string, href: string | undefined): Promise<string> {
  const what = `the status of submission '${name}'`;
  if (href === undefined) throw new UsiDataError(`USI gave neither ${what} nor a link to it`);
  return readAs(statusShape, await api.get(href), what).status;
}

async function readSampleResult(
  api: UsiApi,
  sample: UsiSample,
): Promise<UsiValidationResult | undefined> {
  const what = `the validation result of sample '${sample.alias}'`;
  // what is embedded may be a short form without the messages: then the link leads to the whole
  const embedded = validationResultShape.safeParse(sample.embeddedResult);
  const whole = hasField(sample.embeddedResult, 'errorMessages');
  if (embedded.success && (whole || sample.resultLink === undefined)) return embedded.data;
  if (sample.resultLink !== undefined) {
    return readAs(validationResultShape, await api.get(sample.resultLink), what);
  }
  if (sample.embeddedResult === undefined || sample.embeddedResult === null) return undefined;
  return readAs(validationResultShape, sample.embeddedResult, what);
}

function hasField(value: unknown, name: string): boolean {
  return typeof value === 'object' && value !== null && name in value;
}

function readRoot(text: string, variable: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  // not quoted: a URL with a password in it is one of the things refused here
  if (!url || !/^https?:$/.test(url.protocol) || url.username !== '' || url.password !== '') {
    throw new ConfigError(`${variable}: expected an address such as https://host without account`);
  }
  return url;
}
