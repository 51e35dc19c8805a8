// The wire between the Go tests and a driver: one JSON command a line on stdin,
// one JSON reply or event a line on stdout. A driver ends when stdin ends.
import { createInterface } from 'node:readline'

export function emit(message) {
  process.stdout.write(JSON.stringify(message) + '\n')
}

// serve runs each command's operation, in order, and replies with its result.
export async function serve(operations, onEnd = () => {}) {
  for await (const line of createInterface({ input: process.stdin })) {
    const { id, op, ...command } = JSON.parse(line)
    try {
      if (!operations[op]) {
        throw new Error(`unknown operation ${op}`)
      }
      emit({ reply: id, value: (await operations[op](command)) ?? null })
    } catch (error) {
      emit({ reply: id, error: error.stack ?? String(error) })
    }
  }
  await onEnd()
  process.exit(0)
}
