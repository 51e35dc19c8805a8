// Operations on pusher-js.
import Pusher from 'pusher-js'
import { emit } from './lines.mjs'

const clients = new Map()

// keep registers a pusher-js client and reports what happens to its connection.
export function keep(client, pusher) {
  clients.set(client, pusher)
  const report = (name, value, channel) => emit({ client, name, channel, value })
  pusher.connection.bind('state_change', ({ current }) => report('state', current))
  pusher.connection.bind('error', (error) => report('connection_error', describe(error)))
  pusher.connection.bind('message', ({ event, channel, data, user_id: user }) =>
    emit({ client, name: 'frame', channel, value: { event, data }, user }),
  )
}

export function clientOf(client) {
  return clients.get(client)
}

// describe keeps what a test looks at: errors of sockets hold references in circles.
function describe(error) {
  const cause = error.error ?? error
  return { type: error.type, code: cause.data?.code ?? null, message: cause.data?.message ?? String(cause) }
}

export function pusher({ client, key, options }) {
  keep(client, new Pusher(key, options))
}

export function subscribeRaw({ client, channel }) {
  clients
    .get(client)
    .subscribe(channel)
    .bind_global((event, value) => emit({ client, name: 'event', channel, event, value }))
}

export function unsubscribeRaw({ client, channel }) {
  clients.get(client).unsubscribe(channel)
}

export function triggerRaw({ client, channel, event, data }) {
  return clients.get(client).channel(channel).trigger(event, data)
}

export function state({ client }) {
  return clients.get(client).connection.state
}

export function socketID({ client }) {
  return clients.get(client).connection.socket_id
}

export function disconnect({ client }) {
  clients.get(client).disconnect()
}

export function connect({ client }) {
  clients.get(client).connect()
}

// transport is the name of the transport that carries the connection.
export function transport({ client }) {
  return clients.get(client).connection.connection.transport.name
}

export function subscriptionCount({ client, channel }) {
  return clients.get(client).channel(channel).subscriptionCount
}
