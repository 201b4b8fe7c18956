# Keeps the tables of the parser of the definitions' expressions beside it, where it looks for them.
import os

import ply.yacc
from jsonpath_rw_ext import parser

# They are looked for in the package of the parser's class, and by default written to its parent's.
make = ply.yacc.yacc
keep = {"write_tables": True, "outputdir": os.path.dirname(parser.__file__)}
ply.yacc.yacc = lambda **options: make(**options | keep)
parser.ExtentedJsonPathParser().parse("any")
