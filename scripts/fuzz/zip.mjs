// The records of a .pt file, which is a zip archive without compression, read and written again: also wrongly.
import { crc32, inflateRawSync } from 'node:zlib'

/**
 * @typedef {object} Record a file in the archive
 * @property {string} name
 * @property {Buffer} data
 * @property {number} [claimed] the size that the archive says it has
 * @property {boolean} [wrongSum] whether its check sum is wrong
 */

/** @returns {Record[]} */
export function readZip(/** @type {Buffer} */ bytes) {
  const end = bytes.lastIndexOf('PK\x05\x06', undefined, 'latin1')
  const records = []
  let at = bytes.readUInt32LE(end + 16)
  for (let i = 0; i < bytes.readUInt16LE(end + 10); i++) {
    const [size, local] = [bytes.readUInt32LE(at + 20), bytes.readUInt32LE(at + 42)]
    const nameLength = bytes.readUInt16LE(at + 28)
    const start = local + 30 + bytes.readUInt16LE(local + 26) + bytes.readUInt16LE(local + 28)
    const stored = bytes.subarray(start, start + size)
    const isDeflated = bytes.readUInt16LE(at + 10) === 8
    const name = bytes.toString('utf8', at + 46, at + 46 + nameLength)
    records.push({ name, data: Buffer.from(isDeflated ? inflateRawSync(stored) : stored) })
    // After the name come an extra field and a comment.
    at += 46 + nameLength + bytes.readUInt16LE(at + 30) + bytes.readUInt16LE(at + 32)
  }
  return records
}

/** An archive as PyTorch writes them: stored, and every record aligned to 64 bytes. */
export function writeZip(/** @type {readonly Record[]} */ records) {
  const parts = []
  const directory = []
  let offset = 0
  for (const { name, data, claimed, wrongSum } of records) {
    const nameBytes = Buffer.from(name)
    const size = claimed ?? data.length
    const padding = (64 - ((offset + 34 + nameBytes.length) % 64)) % 64
    const extra = Buffer.alloc(4 + padding, 'Z')
    extra.write('FB', 0, 'latin1')
    extra.writeUInt16LE(padding, 2)
    const facts = Buffer.alloc(26)
    facts.writeUInt16LE(20, 0)
    facts.writeUInt32LE(wrongSum ? 0 : crc32(data), 10)
    facts.writeUInt32LE(size, 14)
    facts.writeUInt32LE(size, 18)
    facts.writeUInt16LE(nameBytes.length, 22)
    const atEnd = Buffer.alloc(14)
    atEnd.writeUInt32LE(offset, 10)
    directory.push(Buffer.from('PK\x01\x02\0\0', 'latin1'), facts, atEnd, nameBytes)
    const local = Buffer.from(facts)
    local.writeUInt16LE(extra.length, 24)
    parts.push(Buffer.from('PK\x03\x04', 'latin1'), local, nameBytes, extra, data)
    offset += 30 + nameBytes.length + extra.length + data.length
  }
  const central = Buffer.concat(directory)
  const end = Buffer.alloc(22)
  end.write('PK\x05\x06', 0, 'latin1')
  end.writeUInt16LE(records.length, 8)
  end.writeUInt16LE(records.length, 10)
  end.writeUInt32LE(central.length, 12)
  end.writeUInt32LE(offset, 16)
  return Buffer.concat([...parts, central, end])
}
