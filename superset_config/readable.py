"""What a reader cannot read although it is drawn: cut off, out of the window, or too small."""

from playwright.sync_api import Page

SMALLEST = 11
"""Pixels of the smallest type that a reader is asked to read."""
NARROWEST = 768
"""Pixels of a window in which texts need not be scrolled: a telephone's is narrower."""
MEASURED = """([chart, title, smallest, narrowest]) => {
  const found = [], wide = document.documentElement.clientWidth;
  for (const holder of document.querySelectorAll(chart)) {
    if (!holder.querySelector('.slice_container, .chart-slice')) {
      if (wide >= narrowest && holder.scrollHeight > holder.clientHeight + 1)
        found.push(`the text '${holder.innerText.trim().slice(0, 40)}' is cut off:`
          + ` ${holder.scrollHeight} px in ${holder.clientHeight}`);
      continue;
    }
    const named = holder.querySelector(title), name = named ? named.innerText.trim() : '(untitled)';
    const box = holder.getBoundingClientRect();
    if (box.left < -1 || box.right > wide + 1)
      found.push(`chart '${name}' reaches from ${Math.round(box.left)} to ${Math.round(box.right)} px of ${wide}`);
    for (const text of holder.querySelectorAll(`${title}, .header-line, .subheader-line, .metric-name`)) {
      const what = `'${text.innerText.trim().slice(0, 40)}' in chart '${name}'`;
      if (text.scrollWidth > text.clientWidth + 1 && getComputedStyle(text).display !== 'inline')
        found.push(`${what} is cut off: ${text.scrollWidth} px in ${text.clientWidth}`);
      const size = parseFloat(getComputedStyle(text).fontSize);
      if (text.innerText.trim() && size < smallest) found.push(`${what} is set in ${size} px`);
    }
  }
  return found;
}"""


def unreadable(page: Page, chart: str, title: str) -> list[str]:
    """What of the charts (elements that match ``chart``, named by ``title``) cannot be read at this window's width."""
    found: list[str] = page.evaluate(MEASURED, [chart, title, SMALLEST, NARROWEST])
    return found
