import { randomBytes } from 'node:crypto';
import { rebuildSummaryMessages } from '../retrieval/validation-tables.ts';
import type { Queries } from './database.ts';
import {
  insertBiosampleSubmission,
  insertObject,
  insertSummaries,
  insertUidSubmission,
} from './gene-bank-rows.ts';
import { STATUS } from './statuses.ts';

const DAY_MS = 24 * 60 * 60 * 1000;

/** People of a gene bank: two at work, one whose registration lapsed, one who has a few days left. */
const USERS = [
  { username: 'mrossi', first: 'Maria', last: 'Rossi', joinedDaysAgo: 420, active: true },
  { username: 'jdupont', first: 'Jeanne', last: 'Dupont', joinedDaysAgo: 95, active: true },
  { username: 'kweber', first: 'Karl', last: 'Weber', joinedDaysAgo: 12, active: false },
  { username: 'aserra', first: 'Ana', last: 'Serra', joinedDaysAgo: 2, active: false },
];

/** Days until a session expires; the negative ones are for "clearsessions". */
const SESSION_DAYS = [-45, -16, -2, 3, 13];

/**
 * The first rows of an embedded database: something for every task to do, except a submission that waits for
 * BioSamples, because only the USI server in use can know one.
 */
export async function seedRows(tx: Queries, now: Date): Promise<void> {
  const daysFromNow = (days: number) => new Date(now.getTime() + days * DAY_MS);
  await seedContentTypes(tx);
  const ownerId = await seedUsers(tx, daysFromNow);
  await seedSessions(tx, daysFromNow);
  await seedCompleted(tx, ownerId, daysFromNow(-40));
  await seedNeedRevision(tx, ownerId, daysFromNow(-3));
  await seedReady(tx, ownerId, daysFromNow(-1));
}

/** Django makes these by itself; validation results point to them. */
export async function seedContentTypes(tx: Queries): Promise<void> {
  await tx.query(
    `INSERT INTO django_content_type (app_label, model) VALUES ('uid', 'animal'), ('uid', 'sample')
      ON CONFLICT DO NOTHING`,
  );
}

/** Returns the id of the first: the owner of the submissions. */
async function seedUsers(tx: Queries, daysFromNow: (days: number) => Date): Promise<number> {
  const ids: number[] = [];
  for (const { username, first, last, joinedDaysAgo, active } of USERS) {
    const [user] = await tx.query<{ id: number }>(
      `INSERT INTO auth_user (username, email, first_name, last_name, date_joined, is_active)
        VALUES ($1, $2, $3, $4, $5, $6) RETURNING id`,
      [username, `${username}@genebank.example`, first, last, daysFromNow(-joinedDaysAgo), active],
    );
    if (!user) throw new Error('an INSERT … RETURNING id returned no row');
    await tx.query(
      `INSERT INTO registration_registrationprofile (user_id, activation_key, activated)
        VALUES ($1, $2, $3)`,
      [user.id, randomBytes(32).toString('hex'), active],
    );
    ids.push(user.id);
  }
  return ids[0] ?? 0;
}

async function seedSessions(tx: Queries, daysFromNow: (days: number) => Date): Promise<void> {
  for (const days of SESSION_DAYS) {
    await tx.query(
      'INSERT INTO django_session (session_key, session_data, expire_date) VALUES ($1, $2, $3)',
      [randomBytes(16).toString('hex'), randomBytes(48).toString('base64'), daysFromNow(days)],
    );
  }
}

/** Long done: "Clean biosample models" takes its row away. */
async function seedCompleted(tx: Queries, ownerId: number, at: Date): Promise<void> {
  const submissionId = await insertUidSubmission(tx, {
    title: 'Bianca Modenese 2024',
    description: 'Blood samples of the Bianca Modenese herd book',
    ownerId,
    status: STATUS.completed,
    message: 'Successful submission into biosample',
    at,
  });
  const done = { submissionId, status: STATUS.completed };
  const animalId = await insertObject(tx, {
    ...done,
    name: 'BM-0417',
    biosampleId: 'SAMEA4450075',
  });
  await insertObject(tx, { ...done, name: 'BM-0417-B1', animalId, biosampleId: 'SAMEA4450079' });
  await insertSummaries(tx, submissionId);
  await insertBiosampleSubmission(tx, {
    uidSubmissionId: submissionId,
    name: '7f1c2a0e-3c55-4a0c-9a53-2f6f1f0d8a11',
    status: STATUS.completed,
    message: 'Successful submission into biosample',
    samplesCount: 2,
    samplesStatus: { Complete: 2 },
    at,
  });
}

/** Sent back to its owner by an earlier run. */
async function seedNeedRevision(tx: Queries, ownerId: number, at: Date): Promise<void> {
  const error = 'taxon 9919 is not the one of the animal';
  const message = JSON.stringify([{ 'CH-1102-B1': { Taxonomy: [error] } }], null, 2);
  const submissionId = await insertUidSubmission(tx, {
    title: 'Camosciata 2025',
    description: 'Semen samples of Camosciata delle Alpi bucks',
    ownerId,
    status: STATUS.needRevision,
    message,
    at,
  });
  const waiting = { submissionId, status: STATUS.submitted };
  const animalId = await insertObject(tx, { ...waiting, name: 'CH-1102' });
  await insertObject(tx, {
    submissionId,
    status: STATUS.needRevision,
    name: 'CH-1102-B1',
    animalId,
    errors: [`Taxonomy: ${error}`],
  });
  await insertSummaries(tx, submissionId);
  await rebuildSummaryMessages(tx, submissionId);
  await insertBiosampleSubmission(tx, {
    uidSubmissionId: submissionId,
    name: 'c2f3b0de-8a6b-4c51-b0c7-5a1f5f4f2f0e',
    status: STATUS.needRevision,
    message,
    samplesCount: 2,
    samplesStatus: { Complete: 2 },
    at,
  });
}

/** Validated by InjectTool and not sent yet. */
async function seedReady(tx: Queries, ownerId: number, at: Date): Promise<void> {
  const submissionId = await insertUidSubmission(tx, {
    title: 'Valdostana 2026',
    description: 'Ear punches of Valdostana Pezzata Rossa cattle',
    ownerId,
    status: STATUS.ready,
    message: 'Submission validated with success',
    at,
  });
  const ready = { submissionId, status: STATUS.ready };
  const animalId = await insertObject(tx, { ...ready, name: 'VPR-2209' });
  await insertObject(tx, { ...ready, name: 'VPR-2209-E1', animalId });
  await insertSummaries(tx, submissionId);
}
