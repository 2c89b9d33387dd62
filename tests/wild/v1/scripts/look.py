"""What a v1 user's script sees."""

import os
import sys

print(sys.argv[1:], os.environ["STRATEGY"], os.environ["KEPTN_SERVICE"])
