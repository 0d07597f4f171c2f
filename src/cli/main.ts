#!/usr/bin/env node
/** The process around `cli.ts`. */
import { run } from './cli.ts'
import { processIo } from './io.ts'
import { closeDevice } from './device.ts'
import { catchSignals } from './signals.ts'

// A reader such as `head` may go away: that is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0)
  throw error
})

const signals = catchSignals()
const code = await run(process.argv.slice(2), processIo(signals.signal), signals.uninterrupted)
await closeDevice()
signals.stop()
process.exitCode = code
