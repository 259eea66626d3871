// Reads a name by viem and by ethers and prints what they say as JSON: a second opinion for dens.
//
//   node read.mjs RPC_URL NAME     (npm packages are found from the working directory)
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

const require = createRequire(join(process.cwd(), 'noop.js'))
const load = (name) => import(pathToFileURL(require.resolve(name)))
const { createPublicClient, http, namehash, parseAbi } = await load('viem')
const { mainnet } = await load('viem/chains')
const { JsonRpcProvider } = await load('ethers')

const [url, name] = process.argv.slice(2)
const client = createPublicClient({ chain: mainnet, transport: http(url) })
const orNull = (promise) => promise.then((v) => v ?? null, () => null)

const resolver = await orNull(client.getEnsResolver({ name }))
const abi = parseAbi(['function contenthash(bytes32) view returns (bytes)'])
const provider = new JsonRpcProvider(url, 1, { staticNetwork: true })
const viaEthers = await orNull(provider.getResolver(name))
console.log(
  JSON.stringify({
    resolver,
    address: await orNull(client.getEnsAddress({ name })),
    contenthash: resolver
      ? await orNull(client.readContract({ address: resolver, abi, functionName: 'contenthash', args: [namehash(name)] }))
      : null,
    texts: Object.fromEntries(
      await Promise.all(['dns.A', 'dns.ttl', 'url'].map(async (key) => [key, await orNull(client.getEnsText({ name, key }))])),
    ),
    ethersAddress: viaEthers ? await orNull(viaEthers.getAddress()) : null,
  }),
)
provider.destroy()
