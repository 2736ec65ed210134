// Asks for the token of the server.
import { byId } from './dom.js'
import { RequestError } from './api.js'

/**
 * @param {boolean} refused whether a token was given that is not the server's
 * @returns {Promise<string>} rejects where the person closes the dialog
 */
export function askToken(refused) {
  const dialog = byId('token-dialog')
  const input = byId('token')
  byId('token-refused').hidden = !refused
  input.setAttribute('aria-invalid', String(refused))
  input.value = ''
  dialog.returnValue = ''
  dialog.showModal()
  return new Promise((resolve, reject) => {
    dialog.addEventListener(
      'close',
      () => {
        const given = input.value.trim()
        input.value = ''
        if (dialog.returnValue === 'send' && given !== '') resolve(given)
        else reject(new RequestError({ title: 'The server requires a token. Load the page again to give it.' }))
      },
      { once: true },
    )
  })
}
