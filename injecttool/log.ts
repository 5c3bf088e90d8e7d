/** What the application needs of a logger; Sedano's task logger (pino) is one. */
export interface Log {
  debug(message: string): void;
  info(message: string): void;
  warn(message: string): void;
  error(message: string): void;
}
