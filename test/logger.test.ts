import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Program } from './helpers/harness.ts';
import { PrivateRedis } from './helpers/private-redis.ts';

async function logLines(env: NodeJS.ProcessEnv): Promise<string[]> {
  await using program = new Program('test/fixtures/log-lines.ts', [], {
    SEDANO_LOG_LEVEL: '',
    ...env,
  });
  await program.exited;
  return program.output.trim().split('\n');
}

test('off a terminal lines are JSON, and carry the task and the call by themselves', async () => {
  const lines = await logLines({});
  const [opening, selling] = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  assert.equal(lines.length, 2);
  assert.equal(opening?.['name'], 'shop');
  assert.equal(opening?.['msg'], 'Opening');
  assert.equal(opening?.['task'], undefined);
  assert.equal(selling?.['task'], 'sell');
  assert.match(String(selling?.['taskId']), /^inline\/sell\//);
  assert.equal(selling?.['animals'], 3);
});

test('as text they are for people, without the terminal escapes that data may hold', async () => {
  const [opening, selling] = await logLines({ SEDANO_LOG_FORMAT: 'text' });
  assert.match(opening ?? '', /^\d\d:\d\d:\d\d\.\d{3} WARN {2}shop: Opening$/);
  assert.match(
    selling ?? '',
    /^\d\d:\d\d:\d\d\.\d{3} INFO {2}shop: Selling \?\[31mred\?\[0m \{"animals":3\} {2}\(inline\/sell\/[0-9a-f-]{36}\)$/,
  );
});

test('the level is chosen by SEDANO_LOG_LEVEL', async () => {
  assert.equal((await logLines({ SEDANO_LOG_LEVEL: 'debug' })).length, 3);
  assert.deepEqual(await logLines({ SEDANO_LOG_LEVEL: 'silent' }), ['']);
});

test('a level that does not exist is one clear error', async () => {
  const output = (await logLines({ SEDANO_LOG_LEVEL: 'loud' })).join('\n');
  assert.match(
    output,
    /ConfigError: SEDANO_LOG_LEVEL: expected one of trace, debug, info, warn, error, fatal, silent, got 'loud'/,
  );
  assert.match(output, /hint: 'Unset SEDANO_LOG_LEVEL, or set it to info\.'/);
});

test('what an error carries beside its text is not logged: a wrong password of Redis stays secret', async () => {
  await using redis = await PrivateRedis.start(['--requirepass', 'right']);
  const url = redis.url.replace('redis://', 'redis://default:hunter2@');
  await using program = new Program('test/fixtures/hold-lock.ts', [], {
    REDIS_URL: url,
    SEDANO_LOG_LEVEL: 'trace',
  });
  await program.sees(/cannot be reached; trying again/);
  await program.exited;
  assert.match(program.output, /WRONGPASS/);
  assert.doesNotMatch(program.output, /hunter2/);
});

test('what a task is to redact is in none of its lines, and they stay readable', async () => {
  for (const format of ['json', 'text']) {
    await using program = new Program('test/fixtures/redacted-lines.ts', [], {
      SEDANO_LOG_LEVEL: '',
      SEDANO_LOG_FORMAT: format,
    });
    assert.equal(await program.exited, 0);
    assert.doesNotMatch(program.output, /hunter2|pin 30|"pin":30/);
    assert.match(program.output, /Not let in with \[redacted\]/);
    if (format === 'text') continue;
    const line = JSON.parse(program.output) as Record<string, unknown>;
    assert.deepEqual(line['account'], { password: '[redacted]' });
    assert.equal(line['pin'], '[redacted]');
    assert.equal(typeof line['time'], 'number');
  }
});
