"""Whether a User-Agent is a known bot's, by crawlerdetect's list; each agent is looked at once."""

from functools import lru_cache

from crawlerdetect import CrawlerDetect

_crawlers = CrawlerDetect()


@lru_cache(maxsize=8192)
def is_bot(user_agent: str) -> bool:
    """Known bots, crawlers, feed readers and command line clients are; no User-Agent at all is no proof."""
    return bool(user_agent) and bool(_crawlers.isCrawler(user_agent[:512]))
