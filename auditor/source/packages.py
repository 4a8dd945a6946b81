"""Distributions and packages with which no training program computes: they install, build, test, show and report."""

from __future__ import annotations

import re

# fmt: off
_TOOLS = frozenset({
    # install and build
    "build", "cibuildwheel", "cmake", "conda", "hatch", "hatchling", "make", "mamba", "meson", "micromamba", "ninja",
    "packaging", "pdm", "pip", "pipenv", "pkg-config", "poetry", "pybind11", "scikit-build", "scikit-build-core",
    "setuptools", "setuptools-scm", "twine", "uv", "virtualenv", "wheel", "_libgcc_mutex", "_openmp_mutex",
    # test and check
    "black", "codecov", "coverage", "flake8", "hypothesis", "isort", "mypy", "nox", "parameterized", "pre-commit",
    "pylint", "pytest", "pytest-cov", "pytest-xdist", "ruff", "tox",
    # document
    "furo", "mkdocs", "mkdocs-material", "myst-parser", "nbsphinx", "sphinx", "sphinx-rtd-theme",
    # command lines, settings and messages
    "argcomplete", "click", "colorama", "coloredlogs", "colorlog", "configargparse", "docopt", "fire", "gin-config",
    "hydra-core", "loguru", "ml-collections", "omegaconf", "prettytable", "pydantic", "python-dotenv", "pyyaml",
    "rich", "simple-parsing", "tabulate", "termcolor", "tqdm", "typer", "tyro", "typing-extensions", "yacs",
    # watch and show
    "aim", "bokeh", "clearml", "comet-ml", "gpustat", "graphviz", "ipdb", "ipykernel", "ipython", "ipywidgets",
    "jupyter", "jupyterlab", "matplotlib", "neptune", "notebook", "nvitop", "plotly", "psutil", "pydot", "seaborn",
    "tensorboard", "tensorboardx", "visdom", "wandb",
    # fetch
    "awscli", "boto3", "gdown", "gsutil", "requests", "urllib3", "wget",
})
# fmt: on
# Of what apt installs: interpreters, numerical libraries, the driver's, and what decodes data.
_COMPUTES = re.compile(
    r"python[\d.]*|python3-(numpy|scipy|sklearn|torch|pandas|opencv).*|r-base.*|octave.*|julia|"
    r"lib(open)?blas.*|lib(atlas|lapack|mkl|fftw|gsl|gomp|omp|cudnn|cublas|nccl|nvinfer|cuda|opencv|av|jpeg|tiff).*|"
    r"cuda.*|nvidia-.*|tensorrt.*|intel-(mkl|oneapi).*|ffmpeg|sox|libsox.*|libsndfile.*"
)


def computes(name: str) -> bool:
    """Whether a program may compute with a distribution, or a conda package, of this name."""
    return re.sub(r"[-_.]+", "-", name).lower() not in _TOOLS


def system_computes(name: str) -> bool:
    """Whether a program is known to compute with a package of this name that apt installs."""
    return _COMPUTES.fullmatch(name) is not None
