#!/usr/bin/env node
import { runCli } from './commands/program.ts';

// the code of a task that was left to other workers may hold timers for ever
process.exit(await runCli(process.argv.slice(2)));
