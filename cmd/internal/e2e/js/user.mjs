// Operations on the signed-in user of a pusher-js client.
import { emit } from './lines.mjs'
import { clientOf } from './pusher.mjs'

// signin signs in and reports what is sent to the user and whom it sees come and go.
export function signin({ client }) {
  const { user } = clientOf(client)
  user.bind_global((event, value) => emit({ client, name: 'user_event', event, value }))
  user.watchlist.bind_global((event, value) => emit({ client, name: 'watchlist', event, value }))
  user.signin()
}

export function userData({ client }) {
  return clientOf(client).user.user_data
}
