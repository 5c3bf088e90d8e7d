import { hostname, userInfo } from 'node:os';

/** Who gives this command, as it is shown beside what it does. */
export function whoAmI(): string {
  return `${userInfo().username} on ${hostname()}`;
}
