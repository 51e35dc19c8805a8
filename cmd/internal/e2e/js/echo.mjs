// Operations on laravel-echo.
import Echo from 'laravel-echo'
import Pusher from 'pusher-js'
import { emit } from './lines.mjs'
import { keep } from './pusher.mjs'

const echoes = new Map()

export function echo({ client, options }) {
  const made = new Echo({ broadcaster: 'reverb', Pusher, ...options })
  echoes.set(client, made)
  keep(client, made.connector.pusher)
}

function channelOf({ client, kind, channel }) {
  const made = echoes.get(client)
  switch (kind) {
    case 'public':
      return made.channel(channel)
    case 'private':
      return made.private(channel)
    case 'encrypted':
      return made.encryptedPrivate(channel)
    case 'presence':
      return made.join(channel)
  }
  throw new Error(`unknown kind of channel ${kind}`)
}

export function subscribe({ client, kind, channel, listen = [], whispers = [] }) {
  const on = channelOf({ client, kind, channel })
  const report = (name, event) => (value, metadata) =>
    emit({ client, name, channel, event, value: value ?? null, user: metadata?.user_id })
  on.subscribed(report('subscribed'))
  on.error(report('error'))
  if (kind === 'presence') {
    on.here(report('here')).joining(report('joining')).leaving(report('leaving'))
  }
  for (const event of listen) {
    on.listen(event, report('event', event))
  }
  for (const event of whispers) {
    on.listenForWhisper(event, report('whisper', event))
  }
}

export function whisper({ client, kind, channel, event, data }) {
  channelOf({ client, kind, channel }).whisper(event, data)
}

export function leave({ client, channel }) {
  echoes.get(client).leave(channel)
}
