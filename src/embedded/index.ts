export { readDevFile, type DevServers } from './dev-file.ts';
export { programCache, projectHome, type Environment } from './home.ts';
export type { Origin } from './server-search.ts';
export { startServers, type Servers, type ServersOptions } from './servers.ts';
