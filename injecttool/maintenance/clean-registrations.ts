import type { Database, Queries } from '../database/database.ts';
import type { Log } from '../log.ts';
import { deleteEach } from './delete-each.ts';
import { deleteDependents } from './dependents.ts';

/** The original's ACCOUNT_ACTIVATION_DAYS. */
const ACTIVATION_DAYS = 7;
const DAY_MS = 24 * 60 * 60 * 1000;

/** The original makes one for each user (uid/models.py: Person, on_delete=CASCADE). */
const PERSON = { table: 'uid_person', column: 'user_id' };

/**
 * Registrations that nobody completed in time. `activated` tells them from users whom an admin deactivated later, and
 * the join leaves users without a profile alone: django-registration's way of keeping an inactive user.
 */
const EXPIRED = `
  FROM auth_user u JOIN registration_registrationprofile p ON p.user_id = u.id
  WHERE NOT u.is_active AND NOT p.activated AND u.date_joined <= $1`;

export interface CleanRegistrationsOptions {
  database: Database;
  now: () => Date;
  log: Log;
  /** Checked before each user. */
  signal?: AbortSignal;
}

/**
 * Deletes the users who did not activate their account within 7 days, with their registration profiles; resolves to
 * how many.
 *
 * @throws {RowsKeptError} at the end, naming the users that other tables of the Django database still refer to.
 */
export async function cleanRegistrations({
  database,
  now,
  log,
  signal,
}: CleanRegistrationsOptions): Promise<number> {
  const joinedBefore = new Date(now().getTime() - ACTIVATION_DAYS * DAY_MS);
  const expired = await database.query<{ id: number }>(`SELECT u.id ${EXPIRED} ORDER BY u.id`, [
    joinedBefore,
  ]);
  return await deleteEach({
    database,
    log,
    row: 'user',
    what: 'expired registrations',
    ids: expired.map(({ id }) => id),
    deleteRow: (tx, id) => deleteRegistration(tx, id, joinedBefore),
    signal,
  });
}

/** False when the user has been activated meanwhile, or is gone. */
async function deleteRegistration(tx: Queries, id: number, joinedBefore: Date): Promise<boolean> {
  // locks the user before the profile, as an activation does, so that the two cannot deadlock
  const [user] = await tx.query(`SELECT u.id ${EXPIRED} AND u.id = $2 FOR UPDATE`, [
    joinedBefore,
    id,
  ]);
  if (!user) return false;
  await deleteDependents(tx, PERSON, id);
  await tx.query('DELETE FROM registration_registrationprofile WHERE user_id = $1', [id]);
  await tx.query('DELETE FROM auth_user WHERE id = $1', [id]);
  return true;
}
