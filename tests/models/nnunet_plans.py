"""An nnU-Net ``plans.json``, as its ResEnc-L planner writes it for anisotropic images."""


def plans(patch=(32, 192, 192), **changes):
    """Parsed; ``changes`` are of the network's arguments."""
    kwargs = {
        "n_stages": 7,
        "features_per_stage": [32, 64, 128, 256, 320, 320, 320],
        "conv_op": "torch.nn.modules.conv.Conv3d",
        "kernel_sizes": [[1, 3, 3], *[[3, 3, 3]] * 6],
        "strides": [[1, 1, 1], [1, 2, 2], *[[2, 2, 2]] * 4, [1, 2, 2]],
        "n_blocks_per_stage": [1, 3, 4, 6, 6, 6, 6],
        "n_conv_per_stage_decoder": [1] * 6,
        "conv_bias": True,
        "norm_op": "torch.nn.modules.instancenorm.InstanceNorm3d",
        "norm_op_kwargs": {"eps": 1e-5, "affine": True},
        "dropout_op": None,
        "nonlin": "torch.nn.LeakyReLU",
        "nonlin_kwargs": {"inplace": True},
    } | changes
    name = "dynamic_network_architectures.architectures.unet.ResidualEncoderUNet"
    architecture = {"network_class_name": name, "arch_kwargs": kwargs}
    return {
        "configurations": {
            "3d_fullres": {"architecture": architecture, "patch_size": list(patch)},
            "3d_cascade": {"inherits_from": "3d_fullres"},
        }
    }
