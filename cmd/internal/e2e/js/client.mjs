// Runs the stock clients in Node: laravel-echo, pusher-js and Pusher's server library.
import { serve } from './lines.mjs'
import * as backend from './backend.mjs'
import * as echo from './echo.mjs'
import * as pusher from './pusher.mjs'
import * as user from './user.mjs'

await serve({ ...echo, ...pusher, ...backend, ...user })
