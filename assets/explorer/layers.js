// The tree of a model's layers.
import { byId, make } from './dom.js'

/** The size of the grid of an output such as [1, 192, 14, 14]; null where it has none. */
function gridOf(output) {
  const [, grid] = /^\[\d+, \d+, (\d+, \d+)\]$/.exec(output ?? '') ?? []
  return grid?.replace(', ', ' × ') ?? null
}

/** Layers as nodes: each inside the one whose path its own begins with. */
function toTree(layers) {
  const root = { children: [] }
  const nodes = new Map([['', root]])
  for (const layer of layers) {
    const node = { ...layer, children: [], parent: null }
    let path = layer.path
    do path = path.slice(0, Math.max(0, path.lastIndexOf('.')))
    while (!nodes.has(path))
    node.parent = nodes.get(path)
    node.name = path === '' ? layer.path : layer.path.slice(path.length + 1)
    node.parent.children.push(node)
    nodes.set(layer.path, node)
  }
  return { root, nodes }
}

/** @param settings see settings.js */
export function createLayers(settings) {
  let tree = toTree([])
  let usual = null
  const open = new Set()
  /** The path that Tab moves to. */
  let current = null

  const shown = () => settings.get().layer ?? usual

  function reveal(path) {
    for (let node = tree.nodes.get(path)?.parent; node?.path; node = node.parent) open.add(node.path)
  }

  /** The rows that are to be seen, each with its level. */
  function rows() {
    const search = byId('layer-search').value.trim().toLowerCase()
    const found = []
    const visit = (node, level) => {
      for (const child of node.children) {
        const fits = search === '' || `${child.path} ${child.type}`.toLowerCase().includes(search)
        if (fits) found.push({ node: child, level: search === '' ? level : 1 })
        if (search !== '' || open.has(child.path)) visit(child, level + 1)
      }
    }
    visit(tree.root, 1)
    return found
  }

  function makeRow({ node, level }) {
    const { path, name, type, output, suggested, reason, explainable, children } = node
    const grid = gridOf(output)
    const isSearch = byId('layer-search').value.trim() !== ''
    const row = make(
      'li',
      {
        role: 'treeitem',
        'aria-level': level,
        'aria-selected': path === shown(),
        'aria-expanded': children.length > 0 && !isSearch ? open.has(path) : null,
        'aria-disabled': explainable ? null : 'true',
        tabIndex: path === current ? 0 : -1,
        title: [path, reason, explainable ? null : 'No hook can be put on it.'].filter(Boolean).join('\n'),
      },
      make(
        'span',
        { class: 'fold', 'aria-hidden': 'true' },
        children.length === 0 || isSearch ? '' : open.has(path) ? '▾' : '▸',
      ),
      make('span', { class: 'name' }, isSearch ? path : name),
      suggested ? make('span', { class: 'suggested' }, 'suggested') : null,
      make('span', { class: 'type' }, type),
      make('span', { class: 'shape', title: output ?? '' }, grid ?? output ?? ''),
      explainable ? null : make('span', { class: 'hidden-text' }, 'cannot be explained'),
    )
    row.style.setProperty('--level', String(level))
    row.dataset.path = path
    return row
  }

  function draw(focus = false) {
    const list = rows()
    if (!list.some(({ node }) => node.path === current)) current = list[0]?.node.path ?? null
    const had = focus || byId('layer-tree').contains(document.activeElement)
    byId('layer-tree').replaceChildren(...list.map(makeRow))
    if (had) byId('layer-tree').querySelector('[tabindex="0"]')?.focus()
    byId('layer-shown').textContent = shown() === null ? '' : `Shown: ${shown()}`
  }

  function choose(path) {
    current = path
    if (tree.nodes.get(path)?.explainable) settings.set({ layer: path === usual ? null : path })
    draw()
  }

  function fold(path, to) {
    if (to) open.add(path)
    else open.delete(path)
    draw()
  }

  byId('layer-tree').addEventListener('click', ({ target }) => {
    const path = target.closest('[data-path]')?.dataset.path
    if (path === undefined) return
    if (!target.classList.contains('fold')) return choose(path)
    current = path
    fold(path, !open.has(path))
  })
  byId('layer-tree').addEventListener('keydown', (event) => {
    const list = rows().map(({ node }) => node)
    const at = list.findIndex(({ path }) => path === current)
    const node = list[at]
    if (!node) return
    const go = (to) => {
      current = (list[Math.min(list.length - 1, Math.max(0, to))] ?? node).path
      draw(true)
    }
    const isOpen = open.has(node.path)
    const keys = {
      ArrowDown: () => go(at + 1),
      ArrowUp: () => go(at - 1),
      Home: () => go(0),
      End: () => go(list.length - 1),
      ArrowRight: () => (node.children.length > 0 && !isOpen ? fold(node.path, true) : go(at + 1)),
      ArrowLeft: () => {
        if (isOpen) return fold(node.path, false)
        if (node.parent.path) {
          current = node.parent.path
          draw(true)
        }
      },
      Enter: () => choose(node.path),
      ' ': () => choose(node.path),
    }
    if (!keys[event.key]) return
    event.preventDefault()
    keys[event.key]()
  })
  byId('layer-search').addEventListener('input', () => draw())

  return {
    /** Shows the layers of a model. */
    show(layers, usualLayer) {
      usual = usualLayer
      tree = toTree(layers)
      open.clear()
      for (const { path, suggested } of layers) if (suggested || path === shown()) reveal(path)
      current = shown()
      draw()
    },
    draw: () => draw(),
  }
}
