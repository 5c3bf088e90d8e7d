/**
 * Runs two jobs at once. When one fails the other is told by its signal, and waited for, before the failure is thrown:
 * nothing goes on behind the caller's back.
 */
export async function together<First, Second>(
  signal: AbortSignal | undefined,
  first: (signal: AbortSignal) => Promise<First>,
  second: (signal: AbortSignal) => Promise<Second>,
): Promise<[First, Second]> {
  const failed = new AbortController();
  const shared = signal ? AbortSignal.any([signal, failed.signal]) : failed.signal;
  const watch = async <Result>(job: (signal: AbortSignal) => Promise<Result>): Promise<Result> => {
    try {
      return await job(shared);
    } catch (error) {
      // the first failure is the reason; the second job then ends with the same one
      failed.abort(error);
      throw error;
    }
  };
  const results = await Promise.allSettled([watch(first), watch(second)]);
  if (signal?.aborted) signal.throwIfAborted();
  if (failed.signal.aborted) throw failed.signal.reason;
  const [one, two] = results;
  if (one.status === 'rejected' || two.status === 'rejected') throw failed.signal.reason;
  return [one.value, two.value];
}
