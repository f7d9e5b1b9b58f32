from mgbench.cli.library import load_model as load_model
from mgbench.cli.library import plan as plan
from mgbench.cli.library import run as run
from mgbench.cli.library import sample as sample
from mgbench.errors import Unfit as Unfit
from mgbench.errors import UserError as UserError
from mgbench.hookspecs import hookimpl as hookimpl
from mgbench.interfaces.components import CodeDraw as CodeDraw
from mgbench.interfaces.components import Dataset as Dataset
from mgbench.interfaces.components import Extractor as Extractor
from mgbench.interfaces.components import GuidanceSchedule as GuidanceSchedule
from mgbench.interfaces.components import Head as Head
from mgbench.interfaces.components import LossWeighting as LossWeighting
from mgbench.interfaces.components import Masking as Masking
from mgbench.interfaces.components import MaskSchedule as MaskSchedule
from mgbench.interfaces.components import Metric as Metric
from mgbench.interfaces.components import Network as Network
from mgbench.interfaces.components import Process as Process
from mgbench.interfaces.components import Reuse as Reuse
from mgbench.interfaces.components import Sampler as Sampler
from mgbench.interfaces.components import Solver as Solver
from mgbench.interfaces.components import TimeGrid as TimeGrid
from mgbench.interfaces.components import Tokenizer as Tokenizer
from mgbench.interfaces.engine import Engine as Engine
from mgbench.recipes.recipe import Recipe as Recipe
from mgbench.recipes.spec import Spec as Spec
from mgbench.recipes.study import Study as Study
from mgbench.report.frame import read_results as read_results

__version__: str
__all__: list[str]
