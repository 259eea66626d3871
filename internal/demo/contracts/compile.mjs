// Compiles the contracts beside it into artifacts.json, or compares with --check.
//
//   node compile.mjs [--check] [NODE_MODULES]
//
// The compiler is the npm package solc at the version below (wasm, no network). It is found in the
// directory given, else by NODE_PATH or in a node_modules directory above.
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const VERSION = '0.8.36'
const here = dirname(fileURLToPath(import.meta.url))
const args = process.argv.slice(2)
const check = args.includes('--check')
const modules = args.find((a) => !a.startsWith('--'))

function fail(message) {
  console.error(`compile.mjs: ${message}`)
  process.exit(1)
}

function loadCompiler() {
  const require = createRequire(modules ? join(resolve(modules), '..', 'noop.js') : import.meta.url)
  let solc
  try {
    solc = require('solc')
  } catch (err) {
    fail(`npm package solc@${VERSION} not found: ${err.message.split('\n')[0]}`)
  }
  if (!solc.version().startsWith(`${VERSION}+`)) fail(`need solc ${VERSION}, found ${solc.version()}`)
  return solc
}

const names = readdirSync(here).filter((n) => n.endsWith('.sol')).sort()
const sources = Object.fromEntries(names.map((n) => [n, { content: readFileSync(join(here, n), 'utf8') }]))
const hashes = Object.fromEntries(
  names.map((n) => [n, createHash('sha256').update(sources[n].content).digest('hex')]),
)
const settings = {
  evmVersion: 'cancun',
  optimizer: { enabled: true, runs: 200 },
  viaIR: true,
  // Without the metadata hash the code depends on nothing but the sources and these settings.
  metadata: { bytecodeHash: 'none', appendCBOR: false },
}
const outputSelection = { '*': { '*': ['abi', 'evm.bytecode.object', 'evm.deployedBytecode.object'] } }

const solc = loadCompiler()
const output = JSON.parse(
  solc.compile(JSON.stringify({ language: 'Solidity', sources, settings: { ...settings, outputSelection } })),
)
const problems = (output.errors ?? []).filter((e) => e.severity !== 'info')
if (problems.length) fail(problems.map((e) => e.formattedMessage).join('\n'))

const contracts = {}
for (const [, file] of Object.entries(output.contracts).sort()) {
  for (const [name, c] of Object.entries(file)) {
    if (!c.abi.some((e) => e.type === 'function' || e.type === 'fallback')) continue // a library
    if (!c.evm.bytecode.object) continue // an interface
    contracts[name] = {
      abi: c.abi,
      bytecode: `0x${c.evm.bytecode.object}`,
      runtime: `0x${c.evm.deployedBytecode.object}`, // immutables are still zero
    }
  }
}
const artifact = `${JSON.stringify({ compiler: solc.version(), settings, sources: hashes, contracts }, null, 1)}\n`
const path = join(here, 'artifacts.json')
if (!check) {
  writeFileSync(path, artifact)
} else if (readFileSync(path, 'utf8') !== artifact) {
  fail('artifacts.json does not match the sources: run node compile.mjs')
}
