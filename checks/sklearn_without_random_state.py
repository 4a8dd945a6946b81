"""A split or an estimator of scikit-learn that draws and has no random state."""

from __future__ import annotations

from collections.abc import Iterator

from auditor.rule import Example, Fix, Rule, Sighting
from auditor.source import ABSENT, Call, Module
from auditor.source.experiments import runs

_BAD = """from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split

x, y = load_iris(return_X_y=True)
train_x, test_x, train_y, test_y = train_test_split(x, y)
forest = RandomForestClassifier(n_estimators=3, random_state=7).fit(train_x, train_y)
print(train_x[:3].tolist(), forest.score(test_x, test_y))
"""

RULE = Rule(
    id="sklearn-without-random-state",
    title="scikit-learn draws without a random state",
    topic="domains",
    level="bit-exact",
    severity="warning",
    confidence="medium",
    since="0.1.0",
    why=(
        "Where random_state is None, scikit-learn draws from NumPy's global stream, which nothing in this program "
        "seeds: each run splits, shuffles or initialises otherwise, and reports another score."
    ),
    remedy="Pass random_state=seed to each, or seed NumPy's global stream once at the beginning.",
    bad=(
        Example(_BAD, needs=("scikit-learn",)),
        Example(
            _BAD.replace("train_test_split(x, y)", "train_test_split(x, y, random_state=7)").replace(
                ", random_state=7).fit", ").fit"
            )
            + "print(forest.feature_importances_)\n",
            needs=("scikit-learn",),
        ),
        Example(
            "import numpy as np\nfrom sklearn.model_selection import KFold as Folds\n\n"
            "folds = Folds(n_splits=2, shuffle=True, random_state=None)\n"
            "print([test.tolist() for _, test in folds.split(np.zeros(40))])\n",
            needs=("scikit-learn",),
        ),
    ),
    good=(
        Example(_BAD.replace("(x, y)\n", "(x, y, random_state=7)\n"), needs=("scikit-learn",)),
        Example(_BAD.replace("\n\n", "\nimport numpy\n\nnumpy.random.seed(7)\n", 1), needs=("scikit-learn",)),
        Example(
            "import numpy as np\nfrom sklearn.model_selection import KFold, train_test_split\n\n"
            "print(train_test_split(np.arange(10), shuffle=False))\n"
            "print(list(KFold(n_splits=2).split(np.zeros(4))))\n",
            needs=("scikit-learn",),
        ),
        # Whoever calls the function chooses.
        Example(
            "from sklearn.cluster import KMeans\n\n\ndef cluster(rows, random_state=None, **options):\n"
            "    KMeans(**options)\n    return KMeans(2, random_state=random_state).fit(rows).labels_\n\n\n"
            "if __name__ == '__main__':\n    print(cluster([[0], [9]], random_state=7, n_clusters=1))\n",
            needs=("scikit-learn",),
        ),
    ),
    sources=("https://scikit-learn.org/stable/common_pitfalls.html#controlling-randomness",),
)

# What draws whatever its other arguments are; those that draw only with some are below.
_DRAWS = {
    "model_selection": (
        "ShuffleSplit StratifiedShuffleSplit GroupShuffleSplit RepeatedKFold RepeatedStratifiedKFold RandomizedSearchCV"
        " HalvingRandomSearchCV"
    ),
    "utils": "shuffle resample",
    "ensemble": (
        "RandomForestClassifier RandomForestRegressor ExtraTreesClassifier ExtraTreesRegressor BaggingClassifier"
        " BaggingRegressor IsolationForest RandomTreesEmbedding"
    ),
    "neural_network": "MLPClassifier MLPRegressor BernoulliRBM",
    "linear_model": "SGDClassifier SGDRegressor SGDOneClassSVM Perceptron",
    "cluster": "KMeans MiniBatchKMeans BisectingKMeans SpectralClustering",
    "mixture": "GaussianMixture BayesianGaussianMixture",
    "manifold": "TSNE MDS",
    "decomposition": "TruncatedSVD FastICA LatentDirichletAllocation DictionaryLearning MiniBatchDictionaryLearning",
    "random_projection": "GaussianRandomProjection SparseRandomProjection",
    "kernel_approximation": "RBFSampler Nystroem",
    "inspection": "permutation_importance",
    "datasets": "make_classification make_regression make_blobs make_friedman1 make_multilabel_classification",
}
_NAMES = {f"sklearn.{part}.{name}" for part, names in _DRAWS.items() for name in names.split()}
_IF_SHUFFLED = {f"sklearn.model_selection.{name}" for name in ("KFold", "StratifiedKFold", "StratifiedGroupKFold")}
_UNLESS_UNSHUFFLED = "sklearn.model_selection.train_test_split"


def see_source(module: Module) -> Iterator[Sighting]:
    """Calls that draw, without ``random_state`` or with None, in a program that does not seed NumPy."""
    if "sklearn" not in module.imports or not runs(module):
        return
    for name in module.called:
        if name not in _NAMES and name not in _IF_SHUFFLED and name != _UNLESS_UNSHUFFLED:
            continue
        for call in module.calls(name):
            state = call.argument("random_state")
            if (
                (state is not ABSENT and module.constant(state) is not None)
                or not _draws(module, call)
                or not runs(module, call.node)
            ):
                continue
            added = module.with_argument(call.node, "random_state=0") if state is ABSENT else None
            yield Sighting(
                call.node,
                f"{name.rpartition('.')[2]} without random_state draws from NumPy's global stream, which nothing seeds",
                unless=("seeds:numpy",),
                fix=None if added is None else Fix((added,)),
            )


def _draws(module: Module, call: Call) -> bool:
    shuffle = call.argument("shuffle")
    if call.name in _IF_SHUFFLED:
        return module.constant(shuffle) is True
    if call.name == _UNLESS_UNSHUFFLED:
        return shuffle is ABSENT or module.constant(shuffle) is True
    return True
