// What a worker's bundle exports: the default serves every workflow type that is not named here.
export { __mail } from './mail.ts';
export { default } from './run-task.ts';
