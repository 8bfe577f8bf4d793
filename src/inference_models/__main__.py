"""`python -m inference_models` is the command line."""

import sys

from inference_models.cli import main

sys.exit(main())
