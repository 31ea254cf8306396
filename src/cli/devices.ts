import { type Device, DEVICE_KINDS, type DeviceKind, type FormatOffer, listDevices } from '../devices.js'
import { type Args, UsageError } from './args.js'
import { EXIT } from './commands.js'
import { say } from './people.js'

/** `beamline devices`. */
export async function devices(args: Args): Promise<number> {
  const kind = args.text('kind') as DeviceKind | undefined
  if (kind !== undefined && !DEVICE_KINDS.includes(kind))
    throw new UsageError(`expected ${DEVICE_KINDS.join(', ')} for --kind but received '${kind}'`)
  const found = await listDevices(kind ? { kind } : {})
  if (args.flag('json')) {
    process.stdout.write(`${JSON.stringify(found)}\n`)
    return EXIT.ok
  }
  const width = Math.max(0, ...found.map((d) => d.id.length))
  for (const device of found)
    process.stdout.write(`${device.id.padEnd(width)}  ${device.kind}  ${device.name}${offers(device)}\n`)
  if (found.length === 0) say(kind ? `no device of kind '${kind}'` : 'no device')
  if (!found.some((d) => d.kind === 'camera')) say('cameras are not listed: this version has no camera backend yet')
  return EXIT.ok
}

function offers({ formats }: Device): string {
  const names = [...new Set(formats.map((f: FormatOffer) => f.pixelFormat ?? f.encoded ?? ''))]
  return names.length === 0 ? '' : `  (${names.slice(0, 4).join(', ')}${names.length > 4 ? ', …' : ''})`
}
