"""Whether a User-Agent is a known bot's, by crawlerdetect's list; each agent is looked at once."""

from functools import lru_cache

from crawlerdetect import CrawlerDetect

LOOKED_AT = 512
"""Characters of a User-Agent that are looked at, and kept: a header may have hundreds of thousands."""
_crawlers = CrawlerDetect()


def is_bot(user_agent: str) -> bool:
    """Known bots, crawlers, feed readers and command line clients are; no User-Agent at all is no proof."""
    return bool(user_agent) and _is_bot(user_agent[:LOOKED_AT])


@lru_cache(maxsize=8192)
def _is_bot(user_agent: str) -> bool:
    return bool(_crawlers.isCrawler(user_agent))
