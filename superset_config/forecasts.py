"""What was forecast is kept: the days that a forecast reads are over, so it is the same from one load to the next.

Each publication takes the charts out of the cache. Fitting the same days anew takes Prophet a tenth of a second and
more, and as it draws the band at random, the band moved a little though nothing had happened.
"""

from collections import OrderedDict
from collections.abc import Callable
from functools import wraps
from importlib import import_module
from threading import Lock
from typing import Any

MOST_FORECASTS = 64
"""How many are kept, of at most a few thousand numbers each; the one that was not asked for longest goes first."""


def kept(fit: Callable[..., Any]) -> Callable[..., Any]:
    """``fit`` (a frame with ``ds`` and ``y``, and options, to a frame), worked out once for the same numbers.

    Who asks does not matter: who has other numbers has another forecast. Each caller has a frame of its own.
    """
    known: OrderedDict[tuple[object, ...], Any] = OrderedDict()
    lock = Lock()

    @wraps(fit)
    def fitted(df: Any, **options: Any) -> Any:
        key = (tuple(df["ds"]), tuple(df["y"]), tuple(sorted(options.items())))
        with lock:
            found = known.get(key)
        if found is None:
            found = fit(df, **options)
        with lock:
            known[key] = found
            known.move_to_end(key)
            if len(known) > MOST_FORECASTS:
                known.popitem(last=False)
        return found.copy()

    return fitted


def keep_forecasts() -> None:
    """Have Superset fit a forecast once for the same numbers."""
    # By name: the package has a function of the module's name. It loads Superset, which loads the settings.
    prophet: Any = import_module("superset.utils.pandas_postprocessing.prophet")
    prophet._prophet_fit_and_predict = kept(prophet._prophet_fit_and_predict)
