import { confirm } from '../embedded/confirm.ts';
import { UsageError } from './exit.ts';

/**
 * Whether a command may do what it has shown.
 *
 * @throws {UsageError} when there is nobody to ask.
 */
export async function mayGoOn(question: string, yes = false): Promise<boolean> {
  if (yes) return true;
  if (!process.stdin.isTTY || !process.stderr.isTTY) {
    throw new UsageError(`${question} There is no terminal to ask on, and nothing was changed`, {
      hint: 'Add --yes to do it without being asked.',
    });
  }
  return await confirm(question);
}
