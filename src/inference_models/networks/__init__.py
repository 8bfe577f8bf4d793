"""Networks as PyTorch modules, one file per architecture: for packages that hold nothing but weights.

These files import torch at their top, because a module class needs it; so nothing imports them but the PyTorch
backend, at the moment it opens such a package. A family names its builder as text, `"package.module:function"`.
"""
