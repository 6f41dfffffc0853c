// Filters operations and schemas by what is typed. The page is complete without it.
const filter = document.getElementById('filter')
const nothing = document.getElementById('nothing')
const entries = [...document.querySelectorAll('[data-search]')]
const groups = [...document.querySelectorAll('[data-group]')]

function apply() {
  const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean)
  let shown = 0
  for (const entry of entries) {
    entry.hidden = !words.every((word) => entry.dataset.search.includes(word))
    if (!entry.hidden) shown++
  }
  for (const group of groups) {
    group.hidden = group.querySelector('[data-search]:not([hidden])') === null
  }
  nothing.hidden = shown > 0
}

filter.addEventListener('input', apply)
document.addEventListener('keydown', (event) => {
  if (event.key === '/' && document.activeElement !== filter) {
    event.preventDefault()
    filter.focus()
  }
})
apply()
