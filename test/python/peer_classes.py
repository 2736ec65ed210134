"""Which of these classes the peers do not have.

    python3 test/python/peer_classes.py '{"pytorch-grad-cam": ["GradCAM", ...], "Captum": [...]}'

Prints a JSON list of 'LIBRARY NAME'.
"""

import json
import sys

import peers

modules = {"pytorch-grad-cam": peers.pytorch_grad_cam(), "Captum": peers.captum_attr(), "torch-cam": peers.torch_cam_methods()}
asked = json.loads(sys.argv[1])
print(json.dumps([f"{library} {name}" for library in asked for name in asked[library] if not hasattr(modules[library], name)]))
