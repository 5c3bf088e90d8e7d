import { randomUUID } from 'node:crypto';
import { SedanoError } from 'sedano';
import { formatAlias, type Kind } from '../retrieval/gene-bank-object.ts';
import type { NewSubmission, UsiServer } from '../usi/server.ts';
import type { Database } from './database.ts';
import {
  insertBiosampleSubmission,
  insertObject,
  insertSummaries,
  insertUidSubmission,
} from './gene-bank-rows.ts';
import { STATUS } from './statuses.ts';

export { hasPendingSubmission } from './gene-bank-rows.ts';

const ANIMALS = ['VPR-3001', 'VPR-3002', 'VPR-3003'];
const TAXON = { taxonId: 9913, taxon: 'Bos taurus' };

export interface PendingSubmissionOptions {
  now?: () => Date;
  /** Whether USI's validation finds an error in the first sample, so that it needs revision. @default false */
  withErrors?: boolean;
}

export interface PendingSubmission {
  /** `uid_submission.id` */
  submissionId: number;
  /** The name at USI. */
  name: string;
}

/**
 * Adds a submission that waits for BioSamples to the database and to the project's own USI server: three
 * animals with one sample each. The server has it
 * before the rows are there, because a row whose name USI does not know is a failure.
 */
export async function addPendingSubmission(
  database: Database,
  usiServer: Pick<UsiServer, 'addSubmission'>,
  { now = () => new Date(), withErrors = false }: PendingSubmissionOptions = {},
): Promise<PendingSubmission> {
  return await database.transaction(async (tx) => {
    const [owner] = await tx.query<{ id: number }>(
      'SELECT id FROM auth_user WHERE is_active ORDER BY id LIMIT 1',
    );
    if (!owner) throw new SedanoError('auth_user has nobody who could own a submission');
    const at = now();
    const submissionId = await insertUidSubmission(tx, {
      title: `Valdostana, ${at.toISOString().slice(0, 16).replace('T', ' ')}`,
      description: 'Ear punches of Valdostana Pezzata Rossa cattle',
      ownerId: owner.id,
      status: STATUS.submitted,
      message: 'Waiting for biosample validation',
      at,
    });
    const samples: NewSubmission['samples'] = [];
    const addToUsi = (kind: Kind, id: number, title: string) =>
      samples.push({ alias: formatAlias({ kind, id }), title, ...TAXON });
    for (const animal of ANIMALS) {
      const waiting = { submissionId, status: STATUS.submitted };
      const animalId = await insertObject(tx, { ...waiting, name: animal });
      addToUsi('animal', animalId, animal);
      const sample = `${animal}-E1`;
      addToUsi('sample', await insertObject(tx, { ...waiting, name: sample, animalId }), sample);
    }
    await insertSummaries(tx, submissionId);
    const [, firstSample] = samples;
    if (withErrors && firstSample) {
      firstSample.errors = { Ena: ['the collection date is in the future'] };
    }
    const name = usiServer.addSubmission({ name: randomUUID(), samples });
    await insertBiosampleSubmission(tx, {
      uidSubmissionId: submissionId,
      name,
      status: STATUS.submitted,
      message: 'Waiting for biosample validation',
      samplesCount: samples.length,
      samplesStatus: {},
      at,
    });
    return { submissionId, name };
  });
}
