/** The page: a form, texts as they come, and the table of kernels. The worker computes. */
import {
  targets,
  titles,
  type Ask,
  type Generated,
  type Job,
  type Kernel,
  type ModelName,
  type Say,
  type TargetName,
  type Which,
} from './protocol.ts'
import { differenceOf, marked } from './compare.ts'

function byId<T extends HTMLElement>(id: string, kind: new () => T): T {
  const found = document.getElementById(id)
  if (!(found instanceof kind)) throw new Error(`the page has no ${id}`)
  return found
}
const form = byId('form', HTMLFormElement)
const text = byId('text', HTMLTextAreaElement)
const bar = byId('bar', HTMLProgressElement)
const [phase, status, error, verdict] = ['phase', 'status', 'error', 'verdict'].map((id) => byId(id, HTMLElement))
const [texts, kernels] = [byId('texts', HTMLElement), byId('kernels', HTMLElement)]
const buttons = ['generate', 'compare', 'selftest'].map((id) => byId(id, HTMLButtonElement))
const stop = byId('stop', HTMLButtonElement)
const numberOf = (id: string): number => byId(id, HTMLInputElement).valueAsNumber

const worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' })
const ask = (message: Ask): void => worker.postMessage(message)

let usable: readonly TargetName[] = ['wasm', 'typescript']
/** The targets that still have to run with what was asked for, and what those before them gave. */
let waiting: TargetName[] = []
let job: Job | undefined
const results = new Map<TargetName, Generated>()

const examples: Readonly<
  Record<ModelName, { readonly label: string; readonly text: string; readonly temperature: string }>
> = {
  shakespeare: { label: 'Prompt', text: 'ROMEO:', temperature: '0.7' },
  translate: {
    label: 'Spanish number words',
    text: 'doscientos treinta y cuatro mil quinientos seis',
    temperature: '0',
  },
}
function chosen(): Which {
  const data = new FormData(form)
  return { model: data.get('model') as ModelName, target: data.get('target') as TargetName }
}
function showModel(): void {
  const { label, text: example, temperature } = examples[chosen().model]
  byId('text-label', HTMLElement).textContent = label
  text.value = example
  byId('temperature', HTMLInputElement).value = temperature
}
for (const radio of form.querySelectorAll<HTMLInputElement>('input[name=model]'))
  radio.addEventListener('change', showModel)
showModel()

form.addEventListener('submit', (event) => {
  event.preventDefault()
  begin([chosen().target])
})
byId('compare', HTMLButtonElement).addEventListener('click', () => form.reportValidity() && begin([...usable]))
byId('selftest', HTMLButtonElement).addEventListener('click', () => {
  busy(true)
  announce(`Testing the kernels of ${titles[chosen().target]} …`)
  ask({ k: 'selftest', ...chosen() })
})
stop.addEventListener('click', () => {
  waiting = []
  ask({ k: 'stop' })
})

/** Buttons that would be in the way. The focus must not get lost with one. */
function busy(is: boolean): void {
  const focused = document.activeElement
  for (const button of buttons) button.disabled = is
  stop.disabled = !is
  if (is && buttons.some((b) => b === focused)) stop.focus()
  else if (!is && focused === stop) buttons[0].focus()
  texts.ariaBusy = String(is)
}
function announce(what: string): void {
  status.textContent = what
}

function begin(run: TargetName[]): void {
  error.hidden = true
  verdict.textContent = ''
  results.clear()
  waiting = run
  const { model } = chosen()
  job = { model, target: run[0], text: text.value, maxTokens: numberOf('tokens'), temperature: numberOf('temperature'), seed: numberOf('seed') } // prettier-ignore
  texts.replaceChildren(...targets.filter((t) => run.includes(t)).map(columnOf))
  busy(true)
  next()
}
function next(): void {
  const target = waiting.shift()
  if (target === undefined || !job) return finish()
  announce(`${titles[target]} …`)
  ask({ k: 'generate', ...job, target })
}
function finish(): void {
  busy(false)
  if (results.size < 2) return
  const { summary, at } = differenceOf(results)
  verdict.textContent = summary
  announce('Done.')
  if (at !== undefined)
    for (const [target, { tokens, text }] of results)
      outputOf(target).replaceChildren(...marked(job!.model === 'shakespeare' ? job!.text : '', tokens, text, at))
}

function columnOf(target: TargetName): HTMLElement {
  const column = document.createElement('article')
  column.id = `text-${target}`
  const title = document.createElement('h3')
  title.textContent = titles[target]
  const output = document.createElement('output')
  output.setAttribute('form', 'form')
  output.ariaLive = 'off'
  output.ariaLabel = `Text of ${titles[target]}`
  const rate = document.createElement('p')
  rate.className = 'rate'
  rate.textContent = 'waits'
  column.append(title, output, rate)
  return column
}
const outputOf = (target: TargetName): HTMLElement => document.querySelector<HTMLElement>(`#text-${target} output`)!

function show(target: TargetName, piece: string, rate: string): void {
  const output = outputOf(target)
  output.textContent = (job?.model === 'shakespeare' ? job.text : '') + piece
  document.querySelector(`#text-${target} .rate`)!.textContent = rate
}
const perSecond = (rate: number): string => `${rate.toFixed(rate < 10 ? 1 : 0)} tokens/s`
const milliseconds = (ms: number): string => (ms < 1000 ? `${ms.toFixed(0)} ms` : `${(ms / 1000).toFixed(1)} s`)

const phases = {
  weights: 'Reading weights',
  packing: 'Packing weights',
  pipelines: 'Compiling kernels',
  tuning: 'Measuring kernels',
} as const

worker.onmessage = ({ data }: { readonly data: Say }) => {
  switch (data.k) {
    case 'found': {
      usable = targets.filter((t) => data.usable.includes(t))
      for (const radio of form.querySelectorAll<HTMLInputElement>('input[name=target]')) {
        radio.disabled = !usable.includes(radio.value as TargetName)
        radio.checked = radio.value === usable[0]
      }
      const notes = data.lacks.map((what) => {
        const note = document.createElement('li')
        note.textContent = what
        return note
      })
      byId('notes', HTMLElement).replaceChildren(...notes)
      document.documentElement.dataset.ready = ''
      break
    }
    case 'loading': {
      const { target, loaded, total } = data
      const of =
        data.phase === 'weights'
          ? `${(loaded / 1e6).toFixed(1)} of ${(total / 1e6).toFixed(1)} MB`
          : `${loaded} of ${total}`
      phase.textContent = `${phases[data.phase]} (${titles[target]}): ${of}`
      bar.max = total
      bar.value = loaded
      break
    }
    case 'text':
      show(data.target, data.text, `${perSecond(data.rate)}, token ${data.tokens}`)
      break
    case 'done': {
      const { ids, text, first, loaded, rate } = data.result
      results.set(data.target, data.result)
      phase.textContent = `${titles[data.target]} is ready.`
      const start = `first after ${milliseconds(first)}${loaded ? ' with loading' : ''}`
      show(data.target, text, ids.length === 0 ? 'no tokens' : `${perSecond(rate)}; ${start}; ${ids.length} tokens`)
      announce(
        `${titles[data.target]}: ${data.stopped ? 'stopped' : 'done'}, ${ids.length} tokens, ${perSecond(rate)}.`,
      )
      next()
      break
    }
    case 'kernels':
      showKernels(data, data.kernels, data.tested)
      if (data.tested) {
        const tested = data.kernels.filter((k) => k.error !== undefined).length
        announce(`${tested} kernels of ${titles[data.target]} are right on this device.`)
        busy(false)
      }
      break
    case 'failed':
      waiting = []
      error.textContent = data.message
      error.hidden = false
      announce('')
      busy(false)
  }
}
worker.onerror = ({ message }) => {
  error.textContent = `The worker cannot run: ${message || 'its script was not read'}`
  error.hidden = false
}

function showKernels({ model, target }: Which, rows: readonly Kernel[], tested: boolean): void {
  const title = `${titles[target]}, ${model}: ${rows.length} kernels`
  byId('kernels-caption', HTMLElement).textContent = rows.some((r) => r.dispatches)
    ? `${title}; dispatches and workgroups of the last text`
    : title
  kernels.replaceChildren(
    ...rows.map(({ name, dispatches, workgroups, error }) => {
      const row = document.createElement('tr')
      const head = document.createElement('th')
      head.scope = 'row'
      head.textContent = name
      const cells = [dispatches, workgroups].map((n) => (n === undefined ? '–' : n.toLocaleString('en')))
      // Some kernels have no test: what they give at the chosen places depends on more than their arguments.
      cells.push(error === undefined ? (tested ? 'none' : '–') : `ok, ${(100 * error).toFixed(0)} % of its bound`)
      row.append(
        head,
        ...cells.map((content) => {
          const cell = document.createElement('td')
          cell.textContent = content
          return cell
        }),
      )
      return row
    }),
  )
}
