import assert from 'node:assert/strict';
import { test } from 'node:test';
import { durationMs, type Duration } from '../src/duration.ts';

test('reads milliseconds, seconds, minutes, hours and days', () => {
  assert.deepEqual(
    (['250ms', '30s', '15m', '1.5h', '7d'] as const).map((text) => durationMs(text, 'x')),
    [250, 30_000, 900_000, 5_400_000, 604_800_000],
  );
});

test('shows both readings of a bare number', () => {
  // @ts-expect-error a bare number is a type error too
  assert.throws(() => durationMs(30, "retryDelay of task 'add'"), {
    name: 'ConfigError',
    message:
      "retryDelay of task 'add': expected a duration with a unit, got the number 30: Celery would read 30 seconds ('30s'), JavaScript 30 milliseconds ('30ms')",
    hint: "Write '30s' or '30ms'.",
  });
});

test('refuses what has no unit, another unit, or a sign', () => {
  for (const text of ['30', '30 s', '5 minuts', '-3s', '', '1e3s']) {
    assert.throws(() => durationMs(text as Duration, 'grace'), {
      message: `grace: expected a duration such as '30s', '15m' or '24h', got ${JSON.stringify(text)}`,
      hint: 'Units are ms, s, m, h and d.',
    });
  }
});
