import type { Command } from '../command.js'
export const command: Command = { usage: 'DIR', description: '', options: {}, positionals: true, run: async () => 1 }
