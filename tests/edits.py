"""A user's files, and edits of them that change an identity or keep it: one change to one file."""

FILES = {
    "mine.py": """
        from collections.abc import Callable

        import jax.numpy as jnp
        import basin_jax as bj
        import beside
        import package.inner
        from stars import *


        GAIN = 2.0
        TABLE = {}
        TABLE["a"] = 1.0
        if GAIN > 1:
            def branch(x):
                return x + 1.0


        def deeper(x):
            return x * GAIN * TABLE["a"]


        def helper(x):
            # A remark.
            return deeper(x) + 1.0


        class Base(bj.Organism):
            def sample(self, key):
                return None

            def init(self, key):
                return jnp.zeros(3)


        class Mine(Base):
            shape: Callable = jnp.tanh

            def loss(self, params, batch):
                from lazily import late
                x = helper(params).sum() + beside.near(1.0) + package.inner.there(1.0)
                return branch(x) + star(1.0) + late(1.0)

            def probe(self, key, params):
                return {"fit": params.sum()}


        class Unrelated(bj.Rule):
            def judge(self, evidence):
                return evidence["fit"] > 0.5


        SEEDS = 1000
        sweep = bj.Sweep(
            organism=Mine(
                shape=lambda x: x * GAIN
            ),
            method=bj.methods.Gradient(learning_rate=0.1),
            num_steps=5,
        )
        if __name__ == "__main__":
            bj.run(sweep, SEEDS, "out")
        """,
    "beside.py": """
        from farther import far


        def near(x):
            return far(x) + 1.0  # a remark
        """,
    "farther.py": "def far(x):\n    return x + 2.0\n",
    "stars.py": "def star(x):\n    return x + 3.0\n",
    "lazily.py": "def late(x):\n    return x + 4.0\n",
    "package/__init__.py": "WHOLE = 5.0\n",
    "package/inner.py": """
        from . import WHOLE
        from .sibling import there as _there


        def there(x):
            return _there(x) + WHOLE
        """,
    "package/sibling.py": "def there(x):\n    return x + 6.0\n",
    "stranger.py": "def strange(x):\n    return x + 7.0\n",
}
CHANGING = [
    ("mine.py", 'return {"fit": params.sum()}', 'return {"fit": params.prod()}'),
    ("mine.py", "deeper(x) + 1.0", "deeper(x) + 1.5"),
    ("mine.py", "x * GAIN *", "x / GAIN *"),
    ("mine.py", "GAIN = 2.0", "GAIN = 2.5"),
    ("mine.py", 'TABLE["a"] = 1.0', 'TABLE["a"] = 1.5'),
    ("mine.py", "return x + 1.0", "return x + 1.5"),
    ("mine.py", "jnp.zeros(3)", "jnp.zeros(4)"),
    ("mine.py", "lambda x: x * GAIN", "lambda x: x / GAIN"),
    ("mine.py", "num_steps=5", "num_steps=6"),
    ("beside.py", "far(x) + 1.0", "far(x) + 1.5"),
    ("farther.py", "2.0", "2.5"),
    ("stars.py", "3.0", "3.5"),
    ("lazily.py", "4.0", "4.5"),
    ("package/__init__.py", "5.0", "5.5"),
    ("package/inner.py", "+ WHOLE", "- WHOLE"),
    ("package/sibling.py", "6.0", "6.5"),
]
KEEPING = [
    ("mine.py", "# A remark.", "# Another remark."),
    ("mine.py", "return deeper(x) + 1.0", "return (deeper(x)\n                + 1.0)"),
    ("mine.py", '["fit"] > 0.5', '["fit"] > 0.9'),
    ("mine.py", "SEEDS = 1000", "SEEDS = 2000"),
    ("mine.py", '"out"', '"elsewhere"'),
    ("mine.py", "GAIN = 2.0\n", "GAIN = 2.0\n\n\n"),
    ("beside.py", "# a remark", "# another"),
    ("stranger.py", "7.0", "7.5"),
]
