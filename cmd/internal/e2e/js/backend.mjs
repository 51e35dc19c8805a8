// Operations on Pusher's server library: what an application's back end does.
import Pusher from 'pusher'

const backends = new Map()

export function backend({ client, options }) {
  backends.set(client, new Pusher(options))
}

// call runs a method of the library and returns the answer it got.
export async function call({ client, method, args }) {
  try {
    const response = await backends.get(client)[method](...args)
    return { status: response.status, body: await response.text() }
  } catch (error) {
    if (error.status === undefined) {
      throw error
    }
    return { status: error.status, body: error.body }
  }
}

// webhook reads a webhook and says whether its signature is valid.
export function webhook({ client, headers, rawBody }) {
  const hook = backends.get(client).webhook({ headers, rawBody })
  return { valid: hook.isValid(), events: hook.getEvents(), time: hook.getTime().getTime() }
}
