# Keeps the tables of the parser of the definitions' expressions beside it, where it looks for them.
import ply.yacc
from jsonpath_rw import parser

make = ply.yacc.yacc
ply.yacc.yacc = lambda **options: make(**options | {"write_tables": True})
parser.parse("any")
