import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConfigError } from 'sedano';
import { Redactor } from '../src/redactor.ts';
import { testApp } from './helpers/harness.ts';

test('members are hidden by name at any depth, arguments by position', () => {
  const args = [{ user: 'a', password: 'p1', deep: [{ password: { old: 'p2', at: 7 } }] }, 'pin'];
  const redactor = new Redactor(['password', 1], args);
  assert.deepEqual(redactor.args, [
    { user: 'a', password: '[redacted]', deep: [{ password: '[redacted]' }] },
    '[redacted]',
  ]);
});

test('their values are taken out of texts, also as JSON and in a URL', () => {
  const redactor = new Redactor(['password'], [{ password: 'o"n/e' }, { password: ['two words'] }]);
  assert.equal(
    redactor.text('o"n/e "o\\"n/e" o%22n%2Fe two words two%20words one'),
    '[redacted] "[redacted]" [redacted] [redacted] [redacted] one',
  );
});

test('a value may hold any character, and be as long as arguments may be', () => {
  const secrets = [
    '8f14e45f-ceea-467f',
    '-12',
    '(a|b)[c]{d}^$.*+?\\/',
    'correct horse!',
    'x'.repeat(2_000_000),
  ];
  const redactor = new Redactor(['key'], [{ key: secrets }]);
  for (const secret of secrets) assert.equal(redactor.text(`<${secret}>`), '<[redacted]>');
  assert.equal(
    redactor.text('?p=correct+horse%21&q=correct%20horse!'),
    '?p=[redacted]&q=[redacted]',
  );
});

test('a short value is hidden as a whole word, and one that begins like another as a whole', () => {
  const redactor = new Redactor([0], [[7, 'abcd', 'abcdef', '$&', '']]);
  assert.equal(
    redactor.text('7 of 17: abcdef, abcd, $&.'),
    '[redacted] of 17: [redacted], [redacted], [redacted].',
  );
});

test('values for programs stay what they are, but for the secrets', () => {
  const redactor = new Redactor(['pin'], [{ pin: 4711 }]);
  assert.deepEqual(
    redactor.value({ pin: 1, n: 4711, m: 12, text: 'pin 4711', list: [null, true] }),
    {
      pin: '[redacted]',
      n: '[redacted]',
      m: 12,
      text: 'pin [redacted]',
      list: [null, true],
    },
  );
});

test('nothing named changes nothing', () => {
  const redactor = new Redactor(['password'], ['text', { user: 'a' }]);
  assert.equal(redactor.text('text a'), 'text a');
  assert.deepEqual(redactor.args, ['text', { user: 'a' }]);
});

test('a redact option that is no list of names and positions is refused', () => {
  const redact = ['password', -1];
  assert.throws(
    () => testApp().task({ name: 'log in', redact }, async () => 'ok'),
    (error) => {
      assert.ok(error instanceof ConfigError);
      assert.equal(
        error.message,
        `task 'log in': redact: expected a list of member names and positions, got ["password",-1]`,
      );
      return true;
    },
  );
});
