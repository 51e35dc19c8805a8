// Runs the stock clients in Node: laravel-echo, pusher-js and Pusher's server library.
import { serve } from './lines.mjs'
import * as backend from './backend.mjs'
import * as echo from './echo.mjs'
import * as pusher from './pusher.mjs'

await serve({ ...echo, ...pusher, ...backend })
